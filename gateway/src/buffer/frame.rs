//! One value of the store: compressed, with its own checksum, recognisable even in the rubble of a broken database.
//!
//! ```text
//!  0  "Wr"      magic
//!  2  u8        kind, see [`Kind`]
//!  3  u8        format version, 1
//!  4  u32 le    length of the raw bytes
//!  8  u32 le    length of the packed bytes
//! 12  u32 le    CRC-32 of bytes 0..12 and the packed bytes
//! 16  packed    LZ4 block
//! ```
//!
//! What the raw bytes mean is not known here.

const MAGIC: [u8; 2] = *b"Wr";
const VERSION: u8 = 1;
const HEADER: usize = 16;

/// More raw bytes than any value written here has; a larger figure is damage.
const LARGEST: usize = 1 << 20;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Records.
    Block = 1,
    /// A page of the channel dictionary.
    Channels = 2,
    /// Where everybody stands.
    Standing = 3,
    /// A piece of something larger.
    Piece = 4,
    /// What a closed generation holds.
    Contents = 5,
    /// Who this store is.
    Identity = 6,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Block, Self::Channels, Self::Standing, Self::Piece, Self::Contents, Self::Identity]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// Packs `raw` into a frame.
pub(super) fn pack(kind: Kind, raw: &[u8]) -> Vec<u8> {
    let packed = lz4_flex::block::compress(raw);
    let mut frame = Vec::with_capacity(HEADER + packed.len());
    frame.extend(MAGIC);
    frame.extend([kind as u8, VERSION]);
    frame.extend((raw.len() as u32).to_le_bytes());
    frame.extend((packed.len() as u32).to_le_bytes());
    frame.extend(checksum(&frame, &packed).to_le_bytes());
    frame.extend(packed);
    frame
}

/// The raw bytes of the frame of `kind` that `bytes` begin with; `None` is damage.
pub(super) fn unpack(kind: Kind, bytes: &[u8]) -> Option<Vec<u8>> {
    let (found, raw, _) = unpack_any(bytes)?;
    (found == kind).then_some(raw)
}

/// Whatever frame `bytes` begin with, and its whole length.
pub(super) fn unpack_any(bytes: &[u8]) -> Option<(Kind, Vec<u8>, usize)> {
    let header = bytes.first_chunk::<HEADER>()?;
    let kind = Kind::from_byte(header[2])?;
    let raw_len = number(&header[4..8])?;
    let packed_len = number(&header[8..12])?;
    if header[..2] != MAGIC || header[3] != VERSION || raw_len > LARGEST {
        return None;
    }
    let end = HEADER.checked_add(packed_len)?;
    let packed = bytes.get(HEADER..end)?;
    let crc = u32::from_le_bytes(*header.last_chunk::<4>()?);
    if checksum(&header[..12], packed) != crc {
        return None;
    }
    Some((kind, lz4_flex::block::decompress(packed, raw_len).ok()?, end))
}

/// Every intact frame in `bytes`, wherever it begins: what is left of a database that does not open any more.
pub(super) fn search(bytes: &[u8]) -> impl Iterator<Item = (Kind, Vec<u8>)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= HEADER) {
            match rest.starts_with(&MAGIC).then(|| unpack_any(rest)).flatten() {
                Some((kind, raw, length)) => {
                    at += length;
                    return Some((kind, raw));
                }
                None => at += 1,
            }
        }
        None
    })
}

fn checksum(header: &[u8], packed: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(header);
    crc.update(packed);
    crc.finalize()
}

fn number(bytes: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
}

/// Packs more than one frame can hold: frames of pieces, one after the other, the first telling how many bytes there are.
pub(super) fn pack_large(bytes: &[u8]) -> Vec<u8> {
    let mut frames = write(Kind::Piece, &bytes.len());
    frames.extend(bytes.chunks(LARGEST).flat_map(|chunk| pack(Kind::Piece, chunk)));
    frames
}

/// The inverse of [`pack_large`]; `None` is damage.
pub(super) fn unpack_large(frames: &[u8]) -> Option<Vec<u8>> {
    let length: usize = read(Kind::Piece, frames)?;
    let (_, _, mut at) = unpack_any(frames)?;
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let (_, raw, taken) = unpack_any(frames.get(at..)?)?;
        bytes.extend(raw);
        at += taken;
    }
    (bytes.len() == length).then_some(bytes)
}

/// Serialises `value` into a frame.
pub(super) fn write<T: serde::Serialize + ?Sized>(kind: Kind, value: &T) -> Vec<u8> {
    // Serialising plain structs into memory cannot fail; an empty frame would be found as damage.
    pack(kind, &postcard::to_allocvec(value).unwrap_or_default())
}

/// The inverse of [`write()`].
pub(super) fn read<T: serde::de::DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Option<T> {
    postcard::from_bytes(&unpack(kind, bytes)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out(raw in prop::collection::vec(any::<u8>(), 0..5000)) {
            prop_assert_eq!(unpack(Kind::Block, &pack(Kind::Block, &raw)), Some(raw));
        }

        #[test]
        fn one_flipped_bit_is_noticed(raw in prop::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut frame = pack(Kind::Block, &raw);
            let at = at.index(frame.len());
            frame[at] ^= 1u8 << bit;
            prop_assert_eq!(unpack(Kind::Block, &frame), None);
        }

        #[test]
        fn rubble_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            unpack_any(&bytes);
        }
    }

    #[test]
    fn frames_are_found_in_rubble() {
        let mut rubble = b"WrWr....".to_vec();
        rubble.extend(pack(Kind::Block, b"one"));
        rubble.extend([0; 40]);
        rubble.extend(pack(Kind::Channels, b"two"));
        rubble.truncate(rubble.len());
        let found: Vec<_> = search(&rubble).collect();
        assert_eq!(found, [(Kind::Block, b"one".to_vec()), (Kind::Channels, b"two".to_vec())]);
    }
}
