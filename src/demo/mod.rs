//! `authtap demo`.

use crate::error::Error;

/// Plays.
pub fn run() -> Result<u8, Error> {
    Ok(0)
}
