//! The headers of one message: [`Headers`] as a host hands them over, [`HeaderList`] to send.
//!
//! Names are lower case, as every proxy-wasm host gives them; values are bytes, since HTTP does
//! not promise UTF-8 (RFC 9110, section 5.5).

/// Received headers, in the host's own buffer and read in place.
///
/// The layout is proxy-wasm's: a count, then the two lengths of each pair, then each name and
/// value with a NUL behind it, all integers 32 bits little-endian. Nothing is copied: a request
/// that turns out to be a hit has cost one buffer.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    wire: Vec<u8>,
}

impl Headers {
    /// Takes a buffer as the host filled it. One that breaks off reads as far as it is whole.
    #[must_use]
    pub const fn from_wire(wire: Vec<u8>) -> Self {
        Self { wire }
    }

    /// Writes pairs in the host's layout: for tests, and for whatever runs the core natively.
    pub fn from_pairs<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let pairs: Vec<(N, V)> = pairs.into_iter().collect();
        Self { wire: to_wire(pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))) }
    }

    /// Every pair in its order, repeated names included.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let count = read_u32(&self.wire, 0).unwrap_or(0);
        // A count that the buffer cannot hold would only spin: each pair takes ten bytes at least.
        let count = count.min(self.wire.len() / 10 + 1);
        let mut lengths = 4;
        let mut content = 4 + count * 8;
        (0..count).map_while(move |_| {
            let name_len = read_u32(&self.wire, lengths)?;
            let value_len = read_u32(&self.wire, lengths + 4)?;
            let name_end = content.checked_add(name_len)?;
            let value_end = name_end.checked_add(1)?.checked_add(value_len)?;
            let name = self.wire.get(content..name_end)?;
            let value = self.wire.get(name_end + 1..value_end)?;
            lengths += 8;
            content = value_end + 1;
            Some((name, value))
        })
    }

    /// The first value of `name`, which must be lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(found, _)| *found == name.as_bytes()).map(|(_, value)| value)
    }

    /// The first value of `name`, where it is UTF-8.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The announced length of the message's body.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.text("content-length")?.parse().ok()
    }

    /// All of them, but with these in place of any of their names.
    #[must_use]
    pub fn replaced(&self, by: &HeaderList) -> HeaderList {
        let mut headers = HeaderList::new();
        for (name, value) in self.iter() {
            if let Ok(name) = std::str::from_utf8(name)
                && by.get(name).is_none()
            {
                headers.add(name, value);
            }
        }
        headers.extend(by);
        headers
    }

    /// The message's `:status`, where there is one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.text(":status")?.parse().ok()
    }
}

/// Headers to be sent, checked so that no value can start another header.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HeaderList {
    pairs: Vec<(String, Vec<u8>)>,
}

impl HeaderList {
    /// No headers yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { pairs: Vec::new() }
    }

    /// Adds a pair; one whose value may not stand in a header is left out.
    pub fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        if is_value(value.as_ref()) {
            self.pairs.push((name.to_owned(), value.as_ref().to_vec()));
        }
    }

    /// Adds a pair, in a chain.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.add(name, value);
        self
    }

    /// Takes every pair of that name away.
    pub fn remove(&mut self, name: &str) {
        self.pairs.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
    }

    /// Adds every pair of another list.
    pub fn extend(&mut self, other: &Self) {
        self.pairs.extend(other.pairs.iter().cloned());
    }

    /// Every pair in its order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> + Clone {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// The first value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The pairs whose value is UTF-8, which is all a callout can carry.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter_map(|(name, value)| Some((name, std::str::from_utf8(value).ok()?)))
    }

    /// The list in the host's layout.
    #[must_use]
    pub fn to_wire(&self) -> Vec<u8> {
        to_wire(self.iter().map(|(name, value)| (name.as_bytes(), value)))
    }
}

/// Whether these bytes may be a header's value: no control character but the tab.
///
/// A host does not check this for a filter, and a CR LF in a value would be a header of its own.
#[must_use]
pub fn is_value(value: &[u8]) -> bool {
    value.iter().all(|byte| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f))
}

fn to_wire<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Vec<u8> {
    let mut count: u32 = 0;
    let mut size = 4;
    for (name, value) in pairs.clone() {
        count += 1;
        size += 10 + name.len() + value.len();
    }
    let mut wire = Vec::with_capacity(size);
    wire.extend_from_slice(&count.to_le_bytes());
    for (name, value) in pairs.clone() {
        wire.extend_from_slice(&length(name).to_le_bytes());
        wire.extend_from_slice(&length(value).to_le_bytes());
    }
    for (name, value) in pairs {
        wire.extend_from_slice(name);
        wire.push(0);
        wire.extend_from_slice(value);
        wire.push(0);
    }
    wire
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn read_u32(wire: &[u8], at: usize) -> Option<usize> {
    let bytes: [u8; 4] = wire.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_survive_the_wire_in_order() {
        let headers = Headers::from_pairs([("a", "1"), ("b", ""), ("a", "2")]);
        let pairs: Vec<_> = headers.iter().collect();
        assert_eq!(pairs, [(&b"a"[..], &b"1"[..]), (b"b", b""), (b"a", b"2")]);
        assert_eq!(headers.get("a"), Some(&b"1"[..]));
    }

    #[test]
    fn a_buffer_that_breaks_off_reads_as_far_as_it_is_whole() {
        let whole = Headers::from_pairs([("a", "1"), ("b", "22")]).wire;
        for cut in 0..whole.len() {
            let headers = Headers::from_wire(whole[..cut].to_vec());
            assert!(headers.iter().count() <= 2, "cut at {cut}");
        }
    }

    #[test]
    fn a_false_count_does_not_spin() {
        let headers = Headers::from_wire(vec![0xff; 64]);
        assert_eq!(headers.iter().count(), 0);
    }

    #[test]
    fn a_value_with_a_line_break_is_never_sent() {
        let list = HeaderList::new().with("a", "x\r\nb: y").with("c", "\u{e9}\t").with("d", "\0");
        let names: Vec<_> = list.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["c"]);
    }
}
