//! The few edits that a tap may be told to make in a head, line by line.

use super::head::{HeadDefectKind, RawHead};

/// A head with one field's value set to another, and the value that stood there.
pub struct Edited {
    /// The head's bytes with the new value; every other byte is as it was received.
    pub bytes: Vec<u8>,
    /// The old value.
    pub from: String,
}

/// Why a head was passed on as it came, although the tap was told to edit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unedited {
    /// There is no such field, or it has the value already.
    Needless,
    /// The field is there more than once, or its line or its head is malformed in a way that makes its place unsure.
    Unclear,
}

/// Sets the value of the only field called `name`.
///
/// # Errors
/// [`Unedited`] where the head has to stay as it is.
pub fn set_value(head: &RawHead, name: &str, to: &str) -> Result<Edited, Unedited> {
    let mut fields = head.fields().filter(|field| field.is(name));
    let field = fields.next().ok_or(Unedited::Needless)?;
    if field.value == to.as_bytes() {
        return Err(Unedited::Needless);
    }
    // A line that ends with LF alone is read alike by all.
    let malformed =
        head.defects().iter().any(|defect| defect.field == Some(field.index) && defect.kind != HeadDefectKind::BareLf);
    if fields.next().is_some() || malformed || head.is_cut() {
        return Err(Unedited::Unclear);
    }
    let span = head.fields.get(field.index).ok_or(Unedited::Unclear)?.value;
    let received = head.as_received();
    let (before, rest) = received.split_at_checked(span.start as usize).ok_or(Unedited::Unclear)?;
    let after = rest.get((span.end - span.start) as usize..).ok_or(Unedited::Unclear)?;
    let mut bytes = Vec::with_capacity(received.len() + to.len());
    bytes.extend_from_slice(before);
    bytes.extend_from_slice(to.as_bytes());
    bytes.extend_from_slice(after);
    Ok(Edited { bytes, from: String::from_utf8_lossy(field.value).into_owned() })
}

#[cfg(test)]
mod tests {
    use super::super::framer::{Answers, Framer, Step};
    use super::*;

    fn set_host(text: &str) -> Result<String, Unedited> {
        let mut input = text.as_bytes();
        let Step::Head(head) = Framer::of_requests(4096).next(&mut input, Answers::Nothing) else { panic!("a head") };
        set_value(&head, "host", "new:81").map(|edited| String::from_utf8(edited.bytes).unwrap())
    }

    #[test]
    fn only_the_value_changes() {
        assert_eq!(
            set_host("GET / HTTP/1.1\r\nA:  b \r\nhOST:   old \r\nC: d\r\n\r\n").unwrap(),
            "GET / HTTP/1.1\r\nA:  b \r\nhOST:   new:81 \r\nC: d\r\n\r\n"
        );
        assert_eq!(
            set_host("GET / HTTP/1.1\nX : y\nHost:\r\n\r\n").unwrap(),
            "GET / HTTP/1.1\nX : y\nHost:new:81\r\n\r\n"
        );
    }

    #[test]
    fn what_is_unclear_stays() {
        assert_eq!(set_host("GET / HTTP/1.1\r\nA: b\r\n\r\n"), Err(Unedited::Needless));
        assert_eq!(set_host("GET / HTTP/1.1\r\nHost: new:81\r\n\r\n"), Err(Unedited::Needless));
        assert_eq!(set_host("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), Err(Unedited::Unclear));
        assert_eq!(set_host("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), Err(Unedited::Unclear));
        assert_eq!(set_host("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"), Err(Unedited::Unclear));
    }
}
