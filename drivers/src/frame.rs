//! Frames of a fixed length in a stream of bytes, found by their first two bytes. Checksums are the devices' own.

use heapless::Vec;

/// Collects the bytes of one frame of `N`; whatever cannot be its beginning is dropped.
#[derive(Debug, Default)]
pub(crate) struct Frame<const N: usize> {
    bytes: Vec<u8, N>,
}

impl<const N: usize> Frame<N> {
    /// Takes a byte; the complete frame if this was its last. Say [`accept`](Self::accept) or [`reject`](Self::reject)
    /// before the next byte.
    pub(crate) fn push(&mut self, byte: u8, begin: [u8; 2]) -> Option<[u8; N]> {
        if self.bytes.is_full() {
            self.bytes.clear();
        }
        let _ = self.bytes.push(byte);
        self.align(begin);
        self.bytes.as_slice().try_into().ok()
    }

    /// The frame was good: the next one begins.
    pub(crate) fn accept(&mut self) {
        self.bytes.clear();
    }

    /// It was not: what looked like its beginning was not one, so another is looked for within it.
    pub(crate) fn reject(&mut self, begin: [u8; 2]) {
        self.drop_first();
        self.align(begin);
    }

    fn align(&mut self, begin: [u8; 2]) {
        while !self.bytes.iter().zip(&begin).all(|(byte, begin)| byte == begin) {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if !self.bytes.is_empty() {
            self.bytes.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    const BEGIN: [u8; 2] = [0x42, 0x4D];

    /// The frames found, the last byte deciding whether one is good.
    fn frames(bytes: &[u8]) -> Vec<[u8; 4]> {
        let mut frame = Frame::<4>::default();
        let mut good = vec![];
        for &byte in bytes {
            match frame.push(byte, BEGIN) {
                Some(found) if found[3] == 0 => {
                    good.push(found);
                    frame.accept();
                }
                Some(_) => frame.reject(BEGIN),
                None => {}
            }
        }
        good
    }

    #[test]
    fn a_frame_is_found_behind_anything() {
        assert_eq!(frames(&[0x4D, 0x42, 0x42, 0x4D, 7, 0, 0x42]), [[0x42, 0x4D, 7, 0]]);
    }

    #[test]
    fn a_frame_that_began_within_a_broken_one_is_not_lost() {
        assert_eq!(frames(&[0x42, 0x4D, 0x42, 0x4D, 5, 0]), [[0x42, 0x4D, 5, 0]]);
    }
}
