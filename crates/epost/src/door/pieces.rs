//! A body in pieces that are worth their while: handing a thread's other work over costs the same for one byte as for many, and a
//! body of one-byte chunks would ask for it as often as it has bytes.

/// What has come of a body and was not taken yet: less than [`PIECE_BYTES`].
#[derive(Debug, Default)]
pub(super) struct Pieces {
    gathered: Vec<u8>,
}

/// The least that is taken at once, but for the end: a TLS record.
pub(super) const PIECE_BYTES: usize = 16 * 1024;

impl Pieces {
    /// Takes what came: all of it so far, if it is enough.
    pub(super) fn take<E>(
        &mut self,
        data: &[u8],
        taker: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.gathered.is_empty() && data.len() >= PIECE_BYTES {
            return taker(data);
        }
        self.gathered.extend_from_slice(data);
        if self.gathered.len() < PIECE_BYTES {
            return Ok(());
        }
        self.end(taker)
    }

    /// Takes what is left.
    pub(super) fn end<E>(&mut self, taker: impl FnOnce(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let taken = taker(&self.gathered);
        self.gathered.clear();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(chunks: &[&[u8]]) -> Vec<usize> {
        let (mut pieces, mut lengths, mut bytes) = (Pieces::default(), Vec::new(), Vec::new());
        let mut taker = |piece: &[u8]| {
            lengths.push(piece.len());
            bytes.extend_from_slice(piece);
            Ok::<_, ()>(())
        };
        for chunk in chunks {
            pieces.take(chunk, &mut taker).unwrap();
        }
        pieces.end(&mut taker).unwrap();
        pieces.end(&mut taker).unwrap();
        assert_eq!(bytes, chunks.concat(), "every byte once, in its order");
        lengths
    }

    #[test]
    fn many_small_ones_are_few_and_large_ones_are_as_they_come() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(taken(&single), [PIECE_BYTES; 6].into_iter().chain([1696]).collect::<Vec<_>>());
        assert_eq!(
            taken(&[&bytes[..PIECE_BYTES], &bytes[..PIECE_BYTES + 1]]),
            [PIECE_BYTES, PIECE_BYTES + 1]
        );
        assert_eq!(taken(&[&bytes[..1], &bytes[..PIECE_BYTES]]), [PIECE_BYTES + 1]);
        assert_eq!(taken(&[&bytes[..PIECE_BYTES - 1], &[7]]), [PIECE_BYTES]);
        assert_eq!(taken(&[&[], &bytes[..5]]), [5]);
        assert_eq!(taken(&[]), [0; 0]);
    }
}
