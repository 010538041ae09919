//! Which status was answered, by whom, and whether it says what is meant.

pub(super) mod credentials_absent;
