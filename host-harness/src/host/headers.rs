//! Header maps as the module sees them, and their wire form.
//!
//! Owns order, repetition and serialization. Which map may be read when is the context's business.

use bytes::Bytes;
use http::HeaderMap;

/// The most pairs a module may hand over at once.
const MOST_PAIRS: usize = 1024;
/// The most bytes of serialized pairs a module may hand over at once.
const MOST_BYTES: usize = 1024 * 1024;

/// An ordered list of header fields, pseudo headers included; a name may occur more than once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Headers(Vec<(Bytes, Bytes)>);

impl Headers {
    /// No fields at all.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The fields of `map`, after `pseudo` ones.
    #[must_use]
    pub fn from_http(pseudo: &[(&'static str, &str)], map: &HeaderMap) -> Self {
        let mut fields = Vec::with_capacity(pseudo.len() + map.len());
        for (name, value) in pseudo {
            fields.push((
                Bytes::from_static(name.as_bytes()),
                Bytes::copy_from_slice(value.as_bytes()),
            ));
        }
        for (name, value) in map {
            fields.push((
                Bytes::copy_from_slice(name.as_str().as_bytes()),
                Bytes::copy_from_slice(value.as_bytes()),
            ));
        }
        Self(fields)
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (&name[..], &value[..]))
    }

    /// The first value of `name`; the ABI has no way to ask for the others one by one.
    #[must_use]
    pub fn first(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| &value[..])
    }

    /// Adds a field after the others.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        self.0.push((Bytes::from(name.to_ascii_lowercase()), Bytes::copy_from_slice(value)));
    }

    /// Replaces the fields called `name` by one, where the first of them stood.
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        let Some(place) = self.0.iter().position(|(own, _)| own.eq_ignore_ascii_case(name)) else {
            self.add(name, value);
            return;
        };
        if let Some(field) = self.0.get_mut(place) {
            field.1 = Bytes::copy_from_slice(value);
        }
        let mut index = 0;
        self.0.retain(|(own, _)| {
            let keep = index <= place || !own.eq_ignore_ascii_case(name);
            index += 1;
            keep
        });
    }

    /// Removes every field called `name`.
    pub fn remove(&mut self, name: &[u8]) {
        self.0.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
    }

    /// Removes every field whose name begins so, in lower case.
    pub fn remove_starting_with(&mut self, prefix: &[u8]) {
        self.0.retain(|(own, _)| {
            !own.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        });
    }

    /// The bytes of all names and values.
    pub(crate) fn byte_size(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// The form in which a module reads a map: the count, all lengths, then names and values, each
    /// ended by a NUL.
    pub(crate) fn serialize(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + self.len() * 10 + self.byte_size());
        out.extend_from_slice(&wire_length(self.len()));
        for (name, value) in &self.0 {
            out.extend_from_slice(&wire_length(name.len()));
            out.extend_from_slice(&wire_length(value.len()));
        }
        for (name, value) in &self.0 {
            out.extend_from_slice(name);
            out.push(0);
            out.extend_from_slice(value);
            out.push(0);
        }
        out
    }

    /// Reads what a module hands over. Anything malformed or over the limits is an empty list, as
    /// Envoy has it: the caller gets no error.
    pub(crate) fn deserialize(data: &[u8]) -> Self {
        Self::parse(data).unwrap_or_default()
    }

    fn parse(data: &[u8]) -> Option<Self> {
        if data.len() > MOST_BYTES {
            return None;
        }
        let (count, rest) = split_length(data)?;
        if count > MOST_PAIRS {
            return None;
        }
        let mut lengths = rest.get(..count * 8)?;
        let mut values = rest.get(count * 8..)?;
        let mut headers = Self(Vec::with_capacity(count));
        for _ in 0..count {
            let (name_length, rest) = split_length(lengths)?;
            let (value_length, rest) = split_length(rest)?;
            lengths = rest;
            let (name, rest) = split_terminated(values, name_length)?;
            let (value, rest) = split_terminated(rest, value_length)?;
            values = rest;
            headers.add(name, value);
        }
        values.is_empty().then_some(headers)
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in fields {
            headers.add(name.as_ref(), value.as_ref());
        }
        headers
    }
}

/// Nothing here can reach four gigabytes: the module's whole memory is smaller.
fn wire_length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

fn split_length(data: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = data.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*length)).ok()?, rest))
}

fn split_terminated(data: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let text = data.get(..length)?;
    let (end, rest) = data.get(length..)?.split_first()?;
    (*end == 0).then_some((text, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Headers {
        [(":status", "404"), ("x-a", "1"), ("x-b", ""), ("x-a", "2")].into_iter().collect()
    }

    #[test]
    fn what_is_serialized_reads_back_the_same() {
        assert_eq!(Headers::deserialize(&sample().serialize()), sample());
    }

    #[test]
    fn wire_form_is_count_lengths_then_terminated_texts() {
        let one: Headers = [("ab", "c")].into_iter().collect();
        assert_eq!(one.serialize(), b"\x01\0\0\0\x02\0\0\0\x01\0\0\0ab\0c\0");
    }

    #[test]
    fn setting_a_repeated_name_leaves_one_in_place_of_the_first() {
        let mut headers = sample();
        headers.set(b"X-A", b"3");
        let expected: Headers =
            [(":status", "404"), ("x-a", "3"), ("x-b", "")].into_iter().collect();
        assert_eq!(headers, expected);
    }

    #[test]
    fn more_than_1024_pairs_read_as_none() {
        let most: Headers = (0..1024).map(|n| (format!("x-{n}"), "v")).collect();
        assert_eq!(Headers::deserialize(&most.serialize()).len(), 1024);
        let over: Headers = (0..1025).map(|n| (format!("x-{n}"), "v")).collect();
        assert!(Headers::deserialize(&over.serialize()).is_empty());
    }

    #[test]
    fn more_than_a_mebibyte_reads_as_none() {
        let over: Headers = [("x", vec![b'a'; MOST_BYTES])].into_iter().collect();
        assert!(Headers::deserialize(&over.serialize()).is_empty());
    }

    #[test]
    fn malformed_pairs_read_as_none() {
        let good = sample().serialize();
        for length in 0..good.len() {
            assert!(Headers::deserialize(&good[..length]).is_empty(), "cut at {length}");
        }
        let mut trailing = good;
        trailing.push(0);
        assert!(Headers::deserialize(&trailing).is_empty());
    }
}
