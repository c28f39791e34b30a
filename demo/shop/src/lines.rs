//! Lines of an order, as cart, catalog, inventory and checkout pass them on.

use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// Lines of one order.
pub const LINES_MAX: usize = 20;
/// Pieces of one product in one order.
pub const QUANTITY_MAX: u32 = 10;

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Which product.
    pub sku: String,
    /// How many pieces.
    pub quantity: u32,
}

/// Refuses orders that make no sense, the same way in every part.
pub fn check_lines(lines: &[Line]) -> Result<(), Problem> {
    if lines.is_empty() || lines.len() > LINES_MAX {
        return Err(Problem::invalid(format!("an order has 1 to {LINES_MAX} items")));
    }
    for line in lines {
        if line.quantity == 0 || line.quantity > QUANTITY_MAX {
            let detail = format!("{}: the quantity is 1 to {QUANTITY_MAX}", line.sku);
            return Err(Problem::invalid(detail));
        }
    }
    Ok(())
}

/// A name from a path that may be written into another path.
pub fn segment(name: &str) -> Result<&str, Problem> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_plain = !name.is_empty() && name.bytes().all(plain);
    if is_plain { Ok(name) } else { Err(Problem::not_found("no such name")) }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn senseless_quantities_are_refused() {
        let line = |quantity| Line { sku: "mug".to_owned(), quantity };
        for lines in [vec![], vec![line(0)], vec![line(11)], vec![line(1); 21]] {
            let problem = check_lines(&lines).expect_err("senseless");
            assert_eq!(problem.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
        assert!(check_lines(&[line(10)]).is_ok());
    }

    #[test]
    fn a_name_cannot_reach_another_path() {
        assert!(segment("o-12ab").is_ok());
        for name in ["../reservations", "a/b", "a?b", "a b", ""] {
            assert!(segment(name).is_err(), "{name:?} was accepted");
        }
    }
}
