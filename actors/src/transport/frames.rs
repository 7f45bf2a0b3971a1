//! Blocks on the wire: a 4-byte big-endian length, then that many canonical bytes.

use bytes::{Buf, Bytes, BytesMut};

/// What a frame may be longer than `max_block_bytes`: nothing but the seal and list headers around a block whose
/// header and transactions fill the limit, with room to spare.
pub const FRAME_ALLOWANCE: u64 = 1_024;
const LENGTH_BYTES: usize = 4;

/// A stream of frames is malformed. Always the sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A frame of no bytes.
    #[error("a frame of zero bytes came; a block has at least a header")]
    Empty,
    /// A frame announces more bytes than a block may have.
    #[error("a frame of {actual} bytes was announced; at most {expected} are allowed")]
    TooLong {
        /// Most bytes allowed.
        expected: u64,
        /// Bytes announced.
        actual: u64,
    },
    /// The stream ended inside a frame.
    #[error("the stream ended after {actual} of a frame's {expected} bytes")]
    Truncated {
        /// Bytes of the frame, with its length prefix.
        expected: u64,
        /// Bytes that came.
        actual: u64,
    },
}

/// The length prefix of the frame of a block with so many canonical bytes, which follow it unchanged.
pub fn frame_prefix(length: usize) -> Bytes {
    let length = u32::try_from(length).expect("a block is far shorter than 4 GiB: max_block_bytes is 8 MiB");
    Bytes::copy_from_slice(&length.to_be_bytes())
}

/// Largest frame of a chain whose blocks have at most `max_block_bytes`.
pub const fn max_frame(max_block_bytes: u64) -> u64 {
    max_block_bytes.saturating_add(FRAME_ALLOWANCE)
}

/// Cuts a byte stream into frames. Holds at most one frame and the chunk it was last fed with; memory grows with the
/// bytes that came, not with the length that was announced.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: BytesMut,
    max: u64,
}

impl FrameDecoder {
    /// A decoder for frames of at most `max` bytes (see [`max_frame`]).
    pub fn new(max: u64) -> Self {
        Self { buffer: BytesMut::new(), max }
    }

    /// Adds what came. Call [`Self::next_frame`] until it gives `None` before adding more.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// Bytes that were added and not handed out.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Bytes of the frame that has begun, with its prefix, as far as that is known by now.
    pub fn begun(&self) -> usize {
        self.announced().ok().flatten().map_or(0, |length| length.saturating_add(LENGTH_BYTES))
    }

    /// Whether a frame has begun and is not complete.
    pub fn is_inside_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next whole frame, without its prefix; `None` where more bytes are needed.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(length) = self.announced()? else { return Ok(None) };
        if self.buffer.len() - LENGTH_BYTES < length {
            return Ok(None);
        }
        self.buffer.advance(LENGTH_BYTES);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    /// The length of the next whole frame; `None` where it is not whole, or none.
    pub fn ready(&self) -> Option<usize> {
        let length = self.announced().ok().flatten()?;
        (self.buffer.len() - LENGTH_BYTES >= length).then_some(length)
    }

    /// To be asked when the stream has ended: was that between two frames?
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let expected = self.announced()?.unwrap_or(0) as u64 + LENGTH_BYTES as u64;
        Err(FrameError::Truncated { expected, actual: self.buffer.len() as u64 })
    }

    fn announced(&self) -> Result<Option<usize>, FrameError> {
        let Some(prefix) = self.buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = u32::from_be_bytes(*prefix);
        match length {
            0 => Err(FrameError::Empty),
            _ if u64::from(length) > self.max => {
                Err(FrameError::TooLong { expected: self.max, actual: u64::from(length) })
            }
            _ => Ok(Some(length as usize)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for frame in frames {
            let frame = Bytes::copy_from_slice(frame);
            out.extend_from_slice(&frame_prefix(frame.len()));
            out.extend_from_slice(&frame);
        }
        out
    }

    fn decode(decoder: &mut FrameDecoder) -> Result<Vec<Vec<u8>>, FrameError> {
        let mut out = Vec::new();
        while let Some(frame) = decoder.next_frame()? {
            out.push(frame.to_vec());
        }
        Ok(out)
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_the_stream_is_cut(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..20),
            cut in 1usize..64,
        ) {
            let mut decoder = FrameDecoder::new(300);
            let mut out = Vec::new();
            for chunk in encode(&frames).chunks(cut) {
                decoder.push(chunk);
                out.extend(decode(&mut decoder).unwrap());
            }
            prop_assert_eq!(out, frames);
            prop_assert_eq!(decoder.finish(), Ok(()));
        }

        #[test]
        fn garbage_never_panics_and_never_yields_a_frame_out_of_bounds(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut decoder = FrameDecoder::new(100);
            decoder.push(&bytes);
            while let Ok(Some(frame)) = decoder.next_frame() {
                prop_assert!((1..=100).contains(&frame.len()));
            }
            let _ = decoder.finish();
        }
    }

    #[test]
    fn zero_length_and_over_length_are_refused_by_name() {
        let mut decoder = FrameDecoder::new(100);
        decoder.push(&[0, 0, 0, 0]);
        assert_eq!(decoder.next_frame(), Err(FrameError::Empty));

        let mut decoder = FrameDecoder::new(100);
        decoder.push(&[0xff, 0xff, 0xff, 0xff, 1]);
        assert_eq!(decoder.next_frame(), Err(FrameError::TooLong { expected: 100, actual: u64::from(u32::MAX) }));

        let mut decoder = FrameDecoder::new(100);
        decoder.push(&encode(&[vec![7; 100]])[..3]);
        assert_eq!(decoder.begun(), 0, "its length is not known yet");
        decoder.push(&encode(&[vec![7; 100]])[3..]);
        assert_eq!(decoder.begun(), 104);
        assert_eq!(decode(&mut decoder).unwrap(), [vec![7; 100]], "the limit itself is allowed");
    }

    #[test]
    fn end_inside_a_frame_or_inside_its_length_is_truncation() {
        let bytes = encode(&[vec![7; 10]]);
        for cut in 1..bytes.len() {
            let mut decoder = FrameDecoder::new(100);
            decoder.push(&bytes[..cut]);
            assert_eq!(decoder.next_frame(), Ok(None));
            assert!(decoder.is_inside_frame());
            assert!(matches!(decoder.finish(), Err(FrameError::Truncated { actual, .. }) if actual == cut as u64));
        }
    }
}
