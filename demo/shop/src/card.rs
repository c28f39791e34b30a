//! Card numbers as the shop sees them: validated, never kept whole.
//!
//! The network that would authorise a charge is represented by the public test numbers that card
//! processors document: one of them is always declined.

/// The documented test number that every processor declines.
const DECLINED_NUMBER: &str = "4000000000000002";

/// A number that passed the check digit.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    digits: String,
}

impl Card {
    /// Reads 12 to 19 digits, spaces allowed, with a valid check digit (Luhn, ISO/IEC 7812-1).
    pub fn parse(text: &str) -> Option<Card> {
        let digits: String = text.chars().filter(|c| *c != ' ').collect();
        let plausible = (12..=19).contains(&digits.len());
        if !plausible || !digits.bytes().all(|b| b.is_ascii_digit()) || !luhn(&digits) {
            return None;
        }
        Some(Card { digits })
    }

    /// The four digits that may be kept.
    pub fn last_four(&self) -> &str {
        &self.digits[self.digits.len() - 4..]
    }

    /// Whether the issuer refuses the charge.
    pub fn is_declined(&self) -> bool {
        self.digits == DECLINED_NUMBER
    }
}

fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte - b'0') << (place % 2);
            if digit > 9 { digit - 9 } else { digit }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_number_is_read_and_only_its_last_four_digits_are_shown() {
        let card = Card::parse("4242 4242 4242 4242").expect("the documented test number");
        assert_eq!(card.last_four(), "4242");
        assert!(!card.is_declined());
    }

    #[test]
    fn wrong_check_digits_letters_and_lengths_are_refused() {
        for text in ["4242424242424241", "4242-4242-4242-4242", "42", "", "é242424242424242"] {
            assert_eq!(Card::parse(text), None, "{text:?} was accepted");
        }
    }

    #[test]
    fn the_documented_declined_number_is_declined() {
        assert!(Card::parse("4000000000000002").expect("valid check digit").is_declined());
    }
}
