//! A client's headers, kept for a request's length in one piece of memory.

use std::sync::Arc;

/// Headers in their order: lower-case names and values.
#[derive(Clone, Debug, Default)]
pub struct PlainHeaders(Arc<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Names and values, one behind the other.
    text: String,
    /// Where each name and each value ends.
    ends: Vec<(usize, usize)>,
}

impl PlainHeaders {
    /// Returns names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.0.ends.iter().map(move |(name, value)| {
            let header = self.0.text.get(start..*name).zip(self.0.text.get(*name..*value));
            start = *value;
            header.unwrap_or_default()
        })
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for PlainHeaders {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(headers: T) -> Self {
        let mut kept = Kept { text: String::with_capacity(512), ends: Vec::with_capacity(16) };
        for (name, value) in headers {
            kept.text.push_str(name);
            let end = kept.text.len();
            kept.text.push_str(value);
            kept.ends.push((end, kept.text.len()));
        }
        Self(Arc::new(kept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_out_as_they_went_in() {
        let headers = [("accept", "*/*"), ("x-a", ""), ("x-a", "é, b")];
        assert_eq!(headers.into_iter().collect::<PlainHeaders>().iter().collect::<Vec<_>>(), headers);
        assert_eq!(PlainHeaders::default().iter().count(), 0);
    }
}
