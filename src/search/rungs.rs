//! The epochs at which trials are compared before they are trained to the end.

/// Epochs of each rung, rising. The last is `epochs`; each one before it has `reduction` times fewer, rounded down, as long
/// as they are at least `first` (Li et al. 2018, "Hyperband", where rungs are counted from the largest budget, too).
pub(super) fn rungs(first: u64, reduction: usize, epochs: u64) -> Vec<u64> {
    let (first, reduction) = (first.max(1), reduction.max(2) as u64);
    let mut divisor = 1_u64;
    let mut rungs = vec![epochs];
    while let Some(next) = divisor.checked_mul(reduction).filter(|next| epochs / next >= first) {
        divisor = next;
        rungs.push(epochs / divisor);
    }
    rungs.reverse();
    rungs
}

/// Whether such rungs make sense.
///
/// # Errors
/// Says which setting of `method` does not.
pub(super) fn check(method: &str, first: u64, reduction: usize, epochs: u64) -> Result<(), String> {
    if reduction < 2 {
        return Err(format!("{method}.reduction is {reduction}; it must be at least 2"));
    }
    if first == 0 || first > epochs {
        return Err(format!(
            "{method}.first_epochs is {first}; it must be at least 1 and at most {epochs}, the epochs of a whole training"
        ));
    }
    if rungs(first, reduction, epochs).len() < 2 {
        return Err(format!(
            "{method} needs two rungs or more, but {epochs} epochs divided by reduction {reduction} are fewer than \
             first_epochs {first}; train longer, as with `set: {{train.epochs: {}}}`",
            first.saturating_mul(reduction as u64)
        ));
    }
    Ok(())
}
