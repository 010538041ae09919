//! Stub
/// Stub.
pub(super) fn suspect_name(name: &[u8]) -> Option<()> {
    name.eq_ignore_ascii_case(b"authorisation").then_some(())
}
