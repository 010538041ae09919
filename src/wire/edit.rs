//! The few edits that a tap may be told to make in a head, line by line.

use super::head::{HeadDefectKind, RawHead};

/// The edits of one head. Every byte that none of them is about stays as it was received.
pub struct HeadEditor<'a> {
    head: &'a RawHead,
    /// What is replaced, by where it stands, and by what.
    replaced: Vec<(usize, usize, Vec<u8>)>,
}

/// Why a head was passed on as it came, although the tap was told to edit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unedited {
    /// There is no such field, or it has the value already.
    Needless,
    /// The field is there more than once, or its line or its head is malformed in a way that makes its place unsure.
    Unclear,
}

impl<'a> HeadEditor<'a> {
    /// No edits yet.
    pub fn of(head: &'a RawHead) -> Self {
        HeadEditor { head, replaced: Vec::new() }
    }

    /// Sets the value of the only field called `name`. Gives the value that stood there.
    ///
    /// # Errors
    /// [`Unedited`] where the head has to stay as it is.
    pub fn set_value(&mut self, name: &str, to: &str) -> Result<String, Unedited> {
        let head = self.head;
        let mut fields = head.fields().filter(|field| field.is(name));
        let field = fields.next().ok_or(Unedited::Needless)?;
        if field.value == to.as_bytes() {
            return Err(Unedited::Needless);
        }
        // A line that ends with LF alone is read alike by all.
        let malformed = head
            .defects()
            .iter()
            .any(|defect| defect.field == Some(field.index) && defect.kind != HeadDefectKind::BareLf);
        if fields.next().is_some() || malformed || head.is_cut() {
            return Err(Unedited::Unclear);
        }
        let span = head.span(field.index).ok_or(Unedited::Unclear)?.value;
        self.replaced.push((span.start as usize, span.end as usize, to.as_bytes().to_vec()));
        Ok(String::from_utf8_lossy(field.value).into_owned())
    }

    /// Takes out every line called `name`. Gives how many there were.
    pub fn remove(&mut self, name: &str) -> usize {
        if self.head.is_cut() {
            return 0;
        }
        let received = self.head.as_received();
        let before = self.replaced.len();
        for field in self.head.fields().filter(|field| field.is(name)) {
            let Some(span) = self.head.span(field.index).map(|span| span.line) else { continue };
            let (start, end) = (span.start as usize, span.end as usize);
            let rest = received.get(end..).unwrap_or_default();
            let line_end = memchr::memchr(b'\n', rest).map_or(received.len(), |at| end + at + 1);
            self.replaced.push((start, line_end, Vec::new()));
        }
        self.replaced.len() - before
    }

    /// Puts a line behind all others.
    ///
    /// # Errors
    /// [`Unedited::Unclear`] where a new line could change how somebody reads the others, or where the end of the head is
    /// not at hand.
    pub fn append(&mut self, name: &str, value: &str) -> Result<(), Unedited> {
        use HeadDefectKind::{BareCr, LeadingWhiteSpace, NoColon, Nul, StartLine};
        let is_unclear = |kind: HeadDefectKind| matches!(kind, StartLine | LeadingWhiteSpace | NoColon | BareCr | Nul);
        let received = self.head.as_received();
        let without_lf = received.strip_suffix(b"\n").ok_or(Unedited::Unclear)?;
        let without_end = without_lf.strip_suffix(b"\r").unwrap_or(without_lf);
        let is_ended = without_end.ends_with(b"\n");
        if !is_ended || self.head.is_cut() || self.head.defects().iter().any(|defect| is_unclear(defect.kind)) {
            return Err(Unedited::Unclear);
        }
        let at = without_end.len();
        self.replaced.push((at, at, format!("{name}: {value}\r\n").into_bytes()));
        Ok(())
    }

    /// The head's bytes with the edits; `None` where there are none.
    pub fn finish(mut self) -> Option<Vec<u8>> {
        if self.replaced.is_empty() {
            return None;
        }
        self.replaced.sort_by_key(|(start, ..)| *start);
        let received = self.head.as_received();
        let added: usize = self.replaced.iter().map(|(.., to)| to.len()).sum();
        let mut bytes = Vec::with_capacity(received.len() + added);
        let mut at = 0;
        for (start, end, to) in &self.replaced {
            bytes.extend_from_slice(received.get(at..*start).unwrap_or_default());
            bytes.extend_from_slice(to);
            at = *end;
        }
        bytes.extend_from_slice(received.get(at..).unwrap_or_default());
        Some(bytes)
    }
}

/// Takes every line of one name out of a head that is too large to be held, as its bytes pass.
///
/// What it keeps back is no longer than the name and the white space behind it.
#[derive(Clone)]
pub struct LineRemover {
    name: Vec<u8>,
    state: Removing,
    /// The start of a line that may be one of that name.
    pending: Vec<u8>,
    removed: usize,
}

/// Where in a line the bytes are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Removing {
    /// At its start, as far as it is that of the name.
    Start,
    /// In one that stays.
    Kept,
    /// In one that goes.
    Removed,
    /// Behind the end of one that goes: a line that begins with white space is a part of it.
    Behind,
}

/// White space between a name and its colon; what has more is no line of that name.
const SPACES: usize = 64;

impl LineRemover {
    /// One that begins at the start of a head.
    pub fn new(name: &str) -> Self {
        LineRemover { name: name.as_bytes().to_vec(), state: Removing::Start, pending: Vec::new(), removed: 0 }
    }

    /// Puts what stays of the bytes into `out`.
    pub fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while let Some(first) = bytes.first() {
            let is_space = matches!(first, b' ' | b'\t');
            match self.state {
                Removing::Kept | Removing::Removed => {
                    let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
                    let (line, rest) = bytes.split_at(end);
                    let is_kept = self.state == Removing::Kept;
                    if is_kept {
                        out.extend_from_slice(line);
                    }
                    if line.ends_with(b"\n") {
                        self.state = if is_kept { Removing::Start } else { Removing::Behind };
                    }
                    bytes = rest;
                }
                Removing::Behind if is_space => self.state = Removing::Removed,
                Removing::Behind => self.state = Removing::Start,
                Removing::Start => {
                    self.pending.push(*first);
                    bytes = bytes.get(1..).unwrap_or_default();
                    self.judge(out);
                }
            }
        }
    }

    /// What a line's start says of it.
    fn judge(&mut self, out: &mut Vec<u8>) {
        let (start, rest) = self.pending.split_at(self.pending.len().min(self.name.len()));
        let is_alike = self.name.get(..start.len()).is_some_and(|name| name.eq_ignore_ascii_case(start));
        let is_open = is_alike && rest.len() <= SPACES && rest.iter().all(|byte| matches!(byte, b' ' | b'\t'));
        if is_alike
            && matches!(rest.split_last(), Some((b':', spaces)) if spaces.iter().all(|byte| matches!(byte, b' ' | b'\t')))
        {
            self.pending.clear();
            self.removed += 1;
            self.state = Removing::Removed;
        } else if !is_open {
            let is_ended = self.pending.ends_with(b"\n");
            out.append(&mut self.pending);
            self.state = if is_ended { Removing::Start } else { Removing::Kept };
        }
    }

    /// Puts what was kept back into `out`, and says how many lines were taken out.
    pub fn finish(mut self, out: &mut Vec<u8>) -> usize {
        out.append(&mut self.pending);
        self.removed
    }
}

#[cfg(test)]
mod tests {
    use super::super::framer::{Answers, Framer, Step};
    use super::*;

    fn head_of(text: &str) -> RawHead {
        let mut input = text.as_bytes();
        let Step::Head(head) = Framer::of_requests(4096).next(&mut input, Answers::Nothing) else { panic!("a head") };
        head
    }

    fn set_host(text: &str) -> Result<String, Unedited> {
        let head = head_of(text);
        let mut editor = HeadEditor::of(&head);
        editor.set_value("host", "new:81")?;
        Ok(String::from_utf8(editor.finish().unwrap()).unwrap())
    }

    fn edited(text: &str, edit: impl FnOnce(&mut HeadEditor<'_>)) -> Option<String> {
        let head = head_of(text);
        let mut editor = HeadEditor::of(&head);
        edit(&mut editor);
        editor.finish().map(|bytes| String::from_utf8(bytes).unwrap())
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

    #[test]
    fn lines_come_and_go_whole() {
        let text = "GET / HTTP/1.1\r\nHop: 1 \r\nA: b\nhop : 2\r\n 3\r\nC: d\r\n\r\n";
        assert_eq!(
            edited(text, |editor| assert_eq!(editor.remove("hop"), 2)).unwrap(),
            "GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n"
        );
        assert_eq!(edited(text, |editor| assert_eq!(editor.remove("absent"), 0)), None);
        let all = |editor: &mut HeadEditor<'_>| {
            editor.set_value("c", "e").unwrap();
            editor.remove("hop");
            editor.append("Hop", "4").unwrap();
        };
        assert_eq!(edited(text, all).unwrap(), "GET / HTTP/1.1\r\nA: b\nC: e\r\nHop: 4\r\n\r\n");
        assert_eq!(
            edited("GET / HTTP/1.1\n\n", |editor| editor.append("A", "b").unwrap()).unwrap(),
            "GET / HTTP/1.1\nA: b\r\n\n"
        );
    }

    #[test]
    fn no_line_is_put_into_a_head_that_may_be_read_in_two_ways() {
        for text in ["GET / HTTP/1.1\r\n A: b\r\n\r\n", "GET / HTTP/1.1\r\nA\r\n\r\n", "GET /\r\nA: b\rc\r\n\r\n"] {
            let head = head_of(text);
            assert_eq!(HeadEditor::of(&head).append("A", "b"), Err(Unedited::Unclear), "{text:?}");
        }
    }

    /// What is left of a head that comes in pieces of that size, and how many lines were taken out.
    fn removed(head: &str, size: usize) -> (String, usize) {
        let mut remover = LineRemover::new("Hop");
        let mut out = Vec::new();
        for piece in head.as_bytes().chunks(size) {
            remover.feed(piece, &mut out);
            assert!(remover.pending.len() <= 3 + SPACES + 1);
        }
        let count = remover.finish(&mut out);
        (String::from_utf8(out).unwrap(), count)
    }

    #[test]
    fn lines_are_taken_out_as_they_pass() {
        let head =
            "GET / HTTP/1.1\r\nHop: 1\r\nA: b\r\nHOP \t: 2\r\n 3\r\n\t4\r\nHope: c\nHo\nhop\nX-Hop: d\r\nhop:\n\r\n";
        let left = "GET / HTTP/1.1\r\nA: b\r\nHope: c\nHo\nhop\nX-Hop: d\r\n\r\n";
        for size in 1..head.len() + 1 {
            assert_eq!(removed(head, size), (left.to_owned(), 3), "{size}");
        }
        for whole in ["GET / HTTP/1.1\r\nA: b\r\nHo", "", "\r\n", "Hop", &format!("Hop{}", " ".repeat(200))] {
            assert_eq!(removed(whole, 7), (whole.to_owned(), 0));
        }
    }
}
