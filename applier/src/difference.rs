//! From what the kernel holds to what it should hold: an ordered list of steps.

/// What was changed, or would be: steps in their order, each printable as a shell line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes(pub(crate) Vec<String>);

impl Changes {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
