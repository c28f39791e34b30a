//! Why an action is not done: one form for the actions and for what they work with.

#[derive(Debug, PartialEq, Eq)]
pub enum Trouble {
    /// What is there now forbids it. Nothing was done.
    Refused(String),
    Failed(String),
}

impl From<String> for Trouble {
    fn from(reason: String) -> Self {
        Trouble::Failed(reason)
    }
}
