//! The lists at hand, and what they say together of one certificate.
//!
//! Source: RFC 5280 §6.3.3.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

use super::scope::Reasons;
use super::{Crl, Named, by_number};
use crate::certificate::Certificate;
use crate::ocsp::{self, OcspAnswer, OcspResponse};
use crate::window::Window;

/// What the lists say of one certificate at one time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CrlAnswer {
    /// Current lists of its issuer speak of it for every reason, and none names it.
    Good,
    /// A list names it, since then.
    Revoked(Timestamp),
    /// The issuer's responder does not know it.
    Unknown,
    /// The issuer's lists and responses are not current.
    Stale,
    /// Nothing of its issuer speaks of it, or not for every reason.
    Missing,
}

/// The CRLs at hand, and OCSP responses beside them. Nothing in a set ever changes: fresh lists are a new set.
#[derive(Clone, Debug)]
pub struct CrlSet {
    crls: Vec<Crl>,
    responses: Vec<OcspResponse>,
    /// Tells one set from every other: a path judged by one is not judged by another.
    identity: u64,
}

impl Default for CrlSet {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl CrlSet {
    /// Holds them; a delta is applied onto every complete list that it fits.
    pub fn new(crls: Vec<Crl>) -> Self {
        Self::with_responses(crls, Vec::new())
    }

    /// Holds them, and OCSP responses. Either kind says good or revoked of a certificate, and revoked outweighs good.
    pub fn with_responses(crls: Vec<Crl>, responses: Vec<OcspResponse>) -> Self {
        static SETS: AtomicU64 = AtomicU64::new(0);
        Self { crls, responses, identity: SETS.fetch_add(1, Ordering::Relaxed) }
    }

    /// Equal for clones of one set only.
    pub(crate) fn identity(&self) -> u64 {
        self.identity
    }

    /// Their bytes.
    pub fn ders(&self) -> impl Iterator<Item = &[u8]> {
        self.crls.iter().map(Crl::der)
    }

    /// The lists.
    pub fn crls(&self) -> &[Crl] {
        &self.crls
    }

    /// The OCSP responses.
    pub fn responses(&self) -> &[OcspResponse] {
        &self.responses
    }

    /// The lists that anybody needs to judge at `at`: those that are current, and what a current delta is applied onto.
    pub fn current_at(&self, at: Timestamp) -> impl Iterator<Item = &Crl> {
        let current = |crl: &&Crl| is_current(crl, at);
        let deltas: Vec<&Crl> = self.crls.iter().filter(|crl| crl.is_delta()).filter(current).collect();
        self.crls
            .iter()
            .filter(move |crl| is_current(crl, at) || deltas.iter().any(|delta| delta.applies_to(crl)))
    }

    /// Complete lists that do not answer at `at` any more (or not yet), and no other one of the same issuer and scope does.
    pub fn stale_at(&self, at: Timestamp) -> impl Iterator<Item = &Crl> {
        let same = |a: &Crl, b: &Crl| a.0.issuer_der == b.0.issuer_der && a.0.scope == b.0.scope;
        let answered =
            move |crl: &Crl| self.crls.iter().any(|other| same(other, crl) && self.answers(other, at));
        self.crls.iter().filter(move |crl| !crl.is_delta() && !answered(crl))
    }

    /// A complete list that is current, or that a current delta brings up to date.
    fn answers(&self, crl: &Crl, at: Timestamp) -> bool {
        let by_delta = || self.delta(crl, at).is_some_and(|delta| is_current(delta, at));
        !crl.is_delta() && crl.this_update() <= at && (is_current(crl, at) || by_delta())
    }

    /// The times around `at` at which the same lists are current as at `at`.
    pub(crate) fn window(&self, at: Timestamp) -> Window {
        let mut window = Window::ALWAYS;
        for crl in &self.crls {
            window.keep_side_of_begin(crl.this_update(), at);
            if let Some(next) = crl.next_update() {
                window.keep_side_of_last(next, at);
            }
        }
        self.responses.iter().for_each(|response| response.cut(&mut window, at));
        window
    }

    /// Judges one certificate at `at` by lists and responses: revoked by either, else unknown to the responder, else good by
    /// either.
    pub(crate) fn judge(&self, certificate: &Certificate, issuer: &Certificate, at: Timestamp) -> CrlAnswer {
        let by_lists = self.judge_by_lists(certificate, issuer, at);
        match (by_lists, ocsp::judge(&self.responses, certificate, issuer, at)) {
            (CrlAnswer::Revoked(since), _) | (_, OcspAnswer::Revoked(since)) => CrlAnswer::Revoked(since),
            (_, OcspAnswer::Unknown) => CrlAnswer::Unknown,
            (_, OcspAnswer::Good) => CrlAnswer::Good,
            (CrlAnswer::Missing, OcspAnswer::Stale) => CrlAnswer::Stale,
            (by_lists, _) => by_lists,
        }
    }

    /// A list that was made later does not count; one whose next one should be there neither,
    /// unless a current delta brings it up to date. What a delta revoked stays revoked when the delta itself is out of date.
    fn judge_by_lists(&self, certificate: &Certificate, issuer: &Certificate, at: Timestamp) -> CrlAnswer {
        let mut asked = Reasons::NONE;
        let mut stale = false;
        let theirs =
            |crl: &&Crl| !crl.is_delta() && crl.covers(certificate) != Reasons::NONE && crl.is_of(issuer);
        for crl in self.crls.iter().filter(theirs) {
            let delta = self.delta(crl, at).filter(|delta| delta.is_of(issuer));
            let up_to_date = is_current(crl, at) || delta.is_some_and(|delta| is_current(delta, at));
            if crl.this_update() > at || !up_to_date {
                stale = true;
                continue;
            }
            let said = delta.and_then(|delta| delta.names(certificate)).or_else(|| crl.names(certificate));
            if let Some(Named::Revoked(since)) = said {
                return CrlAnswer::Revoked(since);
            }
            asked = asked.or(crl.covers(certificate));
        }
        match asked {
            Reasons::ALL => CrlAnswer::Good,
            _ if stale => CrlAnswer::Stale,
            _ => CrlAnswer::Missing,
        }
    }

    /// The youngest delta that was made by `at` for this complete list.
    fn delta(&self, base: &Crl, at: Timestamp) -> Option<&Crl> {
        let fits = |crl: &&Crl| crl.is_delta() && crl.this_update() <= at && crl.applies_to(base);
        let number = |crl: &Crl| crl.0.number.clone().unwrap_or_default();
        self.crls.iter().filter(fits).max_by(|a, b| by_number(&number(a), &number(b)))
    }
}

fn is_current(crl: &Crl, at: Timestamp) -> bool {
    crl.this_update() <= at && crl.next_update().is_some_and(|next| at <= next)
}
