//! A long run of plain text: digested and, where it is base64, decoded in the same pass that finds out whether it is plain.
//!
//! The rounds of a hash wait for each other, so that a processor with instructions for them stands mostly idle; looking through the next
//! bytes and decoding them between the rounds costs next to nothing there. What was hashed of a step that turns out to be something else
//! is forgotten again.

#[cfg(target_arch = "x86_64")]
mod sha;

use pki::sha256::Sha256;

use crate::base64::Decoder;
use crate::scan;

/// What is digested of a run.
pub(crate) struct Run {
    /// Of whatever stood before the text, and of the text.
    pub(crate) sha256: Sha256,
    /// The same beside another beginning.
    pub(crate) source: Option<Sha256>,
    /// What the text is in base64, if it is.
    pub(crate) content: Option<Decoder>,
    /// So much of the text is in the digests.
    pub(crate) taken_bytes: usize,
}

impl Run {
    /// Takes what `text` begins with, as far as it is of no class of [`scan`], but for two steps; tells how much surely is.
    pub(crate) fn take(&mut self, text: &[u8]) -> usize {
        if !text.get(..STEP_BYTES).is_some_and(scan::is_quiet) {
            return 0;
        }
        self.taken_bytes = match &mut self.source {
            Some(source) => take(text, [&mut self.sha256, source], &mut self.content),
            None => take(text, [&mut self.sha256], &mut self.content),
        };
        self.taken_bytes
    }
}

/// Of `text` the first step is quiet.
fn take<const HASHES: usize>(
    text: &[u8],
    mut hashes: [&mut Sha256; HASHES],
    content: &mut Option<Decoder>,
) -> usize {
    let begins = hashes.each_mut().map(|hash| {
        let until_block = hash.until_block_bytes();
        hash.update(text.get(..until_block).unwrap_or_default());
        until_block
    });
    let mut steps = Steps { text, begins, passed: 0 };
    *content = content.take().and_then(|mut decoder| {
        decoder.decode(text.first_chunk()?).ok()?;
        steps.hash::<true>(&mut hashes, &mut decoder);
        Some(decoder)
    });
    steps.hash::<false>(&mut hashes, &mut Decoder::with_room(0));
    let end = steps.passed + begins.into_iter().max().unwrap_or_default();
    for (hash, begin) in hashes.into_iter().zip(begins) {
        hash.update(text.get(begin + steps.passed..end).unwrap_or_default());
    }
    end
}

/// Where several hashes of one text are.
struct Steps<'t, const HASHES: usize> {
    text: &'t [u8],
    /// Where the first block of each hash begins: within the first block's length.
    begins: [usize; HASHES],
    /// So much behind that, all are. The text is quiet, and decoded where it is decoded, for one step more.
    passed: usize,
}

impl<const HASHES: usize> Steps<'_, HASHES> {
    #[cfg(target_arch = "x86_64")]
    #[allow(
        unsafe_code,
        reason = "a function compiled for a processor is called only where the processor is one"
    )]
    fn hash<const BASE64: bool>(&mut self, hashes: &mut [&mut Sha256; HASHES], decoder: &mut Decoder) {
        if pki::sha256::rounds::are_there() {
            // SAFETY: the processor has the features, as was just asked.
            unsafe { sha::hash::<HASHES, BASE64>(self, hashes, decoder) }
        } else {
            self.hash_plain::<BASE64>(hashes, decoder);
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn hash<const BASE64: bool>(&mut self, hashes: &mut [&mut Sha256; HASHES], decoder: &mut Decoder) {
        self.hash_plain::<BASE64>(hashes, decoder);
    }

    /// The portable twin: one after the other.
    fn hash_plain<const BASE64: bool>(&mut self, hashes: &mut [&mut Sha256; HASHES], decoder: &mut Decoder) {
        while let Some(next) = self.next() {
            let before = decoder.sha256.clone();
            decoder.digest_last_step();
            let goes_on = if BASE64 { decoder.decode(next).is_ok() } else { scan::is_quiet(next) };
            if !goes_on {
                decoder.sha256 = before;
                return;
            }
            for (hash, begin) in hashes.iter_mut().zip(self.begins) {
                hash.update(self.step_at(begin + self.passed).map_or(&[], |step| step.as_slice()));
            }
            self.passed += STEP_BYTES;
        }
    }

    /// What is to be looked through next.
    fn next(&self) -> Option<&[u8; STEP_BYTES]> {
        self.step_at(self.passed + STEP_BYTES)
    }

    #[inline]
    fn step_at(&self, place: usize) -> Option<&[u8; STEP_BYTES]> {
        self.text.get(place..)?.first_chunk()
    }
}

/// What is taken at a time.
pub(crate) const STEP_BYTES: usize = 1024;

#[cfg(test)]
mod tests;
