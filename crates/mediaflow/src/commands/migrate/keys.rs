//! The keys that sign URLs: what the source signed must open at the new place too.

use super::end::End;
use crate::fault::Fault;
use crate::signing::keep;

/// Sees to it that the new place accepts what the source signed.
///
/// # Errors
/// When its configuration has other keys.
pub(super) fn carry(from: &End, to: &End) -> Result<(), Fault> {
    let Some(signed) = from.config.delivery.keys(&from.data)? else {
        return Ok(());
    };
    let Some(accepted) = to.config.delivery.keys(&to.data)? else {
        return keep(&to.data, &signed);
    };
    match signed.iter().all(|key| accepted.contains(key)) {
        true => Ok(()),
        false => Err(Fault::unusable(format!(
            "addresses that {} signed would be refused at {}: put all keys of {} into `[[delivery.signing_keys]]` of the new configuration",
            from.name,
            to.name,
            from.config.delivery.place(&from.data),
        ))),
    }
}
