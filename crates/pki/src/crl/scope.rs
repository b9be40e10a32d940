//! What a list speaks of: issuingDistributionPoint, held against a certificate's cRLDistributionPoints.
//!
//! Source: RFC 5280 §4.2.1.13, §5.2.5, §6.3.3 (b) and (d).

use super::CrlError;
use crate::certificate::Certificate;
use crate::der::{self, DerError, tag};

/// A set of reasons (ReasonFlags): bit n is the standard's bit n; `unused` (0) is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Reasons(u16);

impl Reasons {
    pub(super) const NONE: Self = Self(0);
    /// keyCompromise (1) to aACompromise (8): a certificate is good only when lists for all of them were asked.
    pub(super) const ALL: Self = Self(0b1_1111_1110);

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// From the contents of a BIT STRING.
    fn read(contents: &[u8]) -> Result<Self, DerError> {
        let (unused, bits) = contents.split_first().ok_or(DerError)?;
        if *unused > 7 || bits.is_empty() || bits.len() > 2 {
            return Err(DerError);
        }
        let bit = |number: usize| bits.get(number / 8).is_some_and(|byte| byte & (0x80 >> (number % 8)) != 0);
        let set = (1..=8).filter(|number| bit(*number)).fold(0, |set, number| set | 1 << number);
        if set == 0 { Err(DerError) } else { Ok(Self(set)) }
    }
}

/// issuingDistributionPoint; without one, a list speaks of everything that its issuer issued.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Scope {
    only_user: bool,
    only_ca: bool,
    reasons: Reasons,
    names: Vec<Vec<u8>>,
}

impl Default for Scope {
    fn default() -> Self {
        Self { only_user: false, only_ca: false, reasons: Reasons::ALL, names: Vec::new() }
    }
}

impl Scope {
    pub(super) fn read(value: &[u8]) -> Result<Self, CrlError> {
        let mut scope = Self::default();
        let malformed = |_: DerError| CrlError::Malformed;
        let mut fields = der::whole(value, tag::SEQUENCE).map_err(malformed)?.inside();
        let mut last = None;
        while fields.peek().is_some() {
            let field = fields.any().map_err(malformed)?;
            // The numbers of the tags go up in DER; a field that stands twice would leave one of two unread.
            let number = field.tag & 0x1f;
            if last.is_some_and(|last| last >= number) {
                return Err(CrlError::Malformed);
            }
            last = Some(number);
            if matches!(field.tag, 0x81 | 0x82 | 0x84 | 0x85) {
                der::present_is_true(field).map_err(malformed)?;
            }
            match field.tag {
                0xa0 => scope.names = full_names(field)?,
                0x81 => scope.only_user = true,
                0x82 => scope.only_ca = true,
                0x83 => scope.reasons = Reasons::read(field.contents).map_err(malformed)?,
                0x84 => return Err(CrlError::Kind("indirect")),
                0x85 => return Err(CrlError::Kind("of attribute certificates")),
                _ => return Err(CrlError::Malformed),
            }
        }
        if scope.only_user && scope.only_ca {
            return Err(CrlError::Malformed);
        }
        Ok(scope)
    }

    /// The reasons for which a list of this scope speaks of a certificate; none: not at all.
    pub(super) fn covers(&self, certificate: &Certificate) -> Reasons {
        if (self.only_user && certificate.is_ca()) || (self.only_ca && !certificate.is_ca()) {
            return Reasons::NONE;
        }
        if self.names.is_empty() {
            return self.reasons;
        }
        let points = certificate.crl_distribution_points().map(points);
        let Some(Ok(points)) = points else { return Reasons::NONE };
        let named = points.iter().filter(|(name, _)| self.names.iter().any(|own| own == name));
        named.fold(Reasons::NONE, |all, (_, reasons)| all.or(reasons.and(self.reasons)))
    }
}

/// Every fullName of every distribution point whose list its issuer signs itself, and the reasons that it is for.
fn points(value: &[u8]) -> Result<Vec<(&[u8], Reasons)>, DerError> {
    let mut found = Vec::new();
    for point in der::whole(value, tag::SEQUENCE)?.all(tag::SEQUENCE)? {
        let mut fields = point.inside();
        let name = fields.optional(tag::CONTEXT_0)?;
        let reasons =
            fields.optional(0x81)?.map_or(Ok(Reasons::ALL), |flags| Reasons::read(flags.contents))?;
        // What is left is a cRLIssuer: another one signs that list.
        if let (Some(name), Ok(())) = (name, fields.end())
            && let Some(names) = name.inside().optional(tag::CONTEXT_0)?
        {
            found.extend(general_names(names)?.into_iter().map(|name| (name, reasons)));
        }
    }
    Ok(found)
}

fn general_names(names: der::Value<'_>) -> Result<Vec<&[u8]>, DerError> {
    let mut reader = names.inside();
    let mut found = Vec::new();
    while reader.peek().is_some() {
        found.push(reader.any()?.whole);
    }
    Ok(found)
}

fn full_names(point: der::Value<'_>) -> Result<Vec<Vec<u8>>, CrlError> {
    let mut inside = point.inside();
    let names =
        inside.take(tag::CONTEXT_0).map_err(|_| CrlError::Kind("a distribution point without full name"))?;
    inside.end().map_err(|_| CrlError::Malformed)?;
    let names = general_names(names).map_err(|_| CrlError::Malformed)?;
    if names.is_empty() {
        return Err(CrlError::Malformed);
    }
    Ok(names.into_iter().map(<[u8]>::to_vec).collect())
}
