//! A long text in parts: what a worker has written goes to the client as it is and is never copied into another text.

use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Longest piece that is handed to a connection at once, which copies it: what a client does not read is held once, and a
/// server thread goes on to the next client after it.
pub(crate) const PIECE: usize = 16 << 10;

/// A text that is being put together, or given out.
#[derive(Debug, Default)]
pub(crate) struct Text {
    parts: VecDeque<Bytes>,
    /// The end of it: short parts are put together.
    tail: Vec<u8>,
    bytes: usize,
}

impl Text {
    /// Bytes in all.
    pub(crate) const fn len(&self) -> usize {
        self.bytes
    }

    /// Copies a short part to the end.
    pub(crate) fn write(&mut self, part: &[u8]) {
        self.tail.extend_from_slice(part);
        self.bytes = self.bytes.saturating_add(part.len());
        if self.tail.len() > PIECE {
            self.end_tail();
        }
    }

    /// Puts a part at the end: a long one as it is.
    pub(crate) fn push(&mut self, part: Bytes) {
        if part.len() <= PIECE {
            return self.write(&part);
        }
        self.end_tail();
        self.bytes = self.bytes.saturating_add(part.len());
        self.parts.push_back(part);
    }

    /// Puts another text at the end.
    pub(crate) fn append(&mut self, other: Self) {
        let Self { parts, tail, .. } = other;
        parts.into_iter().for_each(|part| self.push(part));
        self.write(&tail);
    }

    /// The body of an HTTP answer.
    pub(crate) fn into_body(self) -> BoxBody {
        match self.parts.is_empty() {
            true => BoxBody::new(self.tail),
            false => BoxBody::new(self),
        }
    }

    fn end_tail(&mut self) {
        if !self.tail.is_empty() {
            self.parts.push_back(std::mem::take(&mut self.tail).into());
        }
    }

    /// The next piece, of at most so many bytes.
    pub(crate) fn piece(&mut self, most: usize) -> Option<Bytes> {
        if self.parts.is_empty() {
            self.end_tail();
        }
        let part = self.parts.front_mut()?;
        let piece = part.split_to(part.len().min(most));
        if part.is_empty() {
            self.parts.pop_front();
        }
        self.bytes = self.bytes.saturating_sub(piece.len());
        Some(piece)
    }
}

impl<const N: usize> From<[Bytes; N]> for Text {
    fn from(parts: [Bytes; N]) -> Self {
        let mut text = Self::default();
        parts.into_iter().for_each(|part| text.push(part));
        text
    }
}

impl MessageBody for Text {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.bytes as u64)
    }

    fn poll_next(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(self.get_mut().piece(PIECE).map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_parts_are_given_out_as_they_are_and_short_ones_together() {
        let long = Bytes::from("x".repeat(3 * PIECE + 1));
        let shared = long.as_ptr_range();
        let mut text = Text::default();
        text.write(b"{");
        text.push(long.clone());
        text.write(b"}");
        let mut twice = Text::from([Bytes::from_static(b"[")]);
        twice.append(text);
        twice.write(b"]");
        assert_eq!(twice.len(), long.len() + 4);
        let pieces: Vec<_> = std::iter::from_fn(|| twice.piece(PIECE)).collect();
        assert_eq!(pieces.concat(), [b"[{".as_slice(), &long, b"}]"].concat());
        assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= PIECE));
        let of_long = pieces.iter().filter(|piece| shared.contains(&piece.as_ptr())).map(Bytes::len);
        assert_eq!(of_long.sum::<usize>(), long.len(), "nothing of it was copied");
        assert_eq!((twice.len(), pieces.len()), (0, 6), "short parts are one piece");
    }
}
