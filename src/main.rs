//! The `authtap` program.

fn main() {}
