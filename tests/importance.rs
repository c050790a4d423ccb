//! How much each factor explains, on functions whose shares are known.

use candlewick::metrics::{FEWEST_OUTCOMES, Factor, importance};
use candlewick::seed::Seed;

/// `count` uniform points of `dimensions` numbers.
fn points(seed: u64, count: usize, dimensions: usize) -> Vec<Vec<f64>> {
    let draw = |dimension| {
        let mut stream = Seed(seed).stream("points", dimension as u64);
        (0..count).map(|_| stream.uniform()).collect()
    };
    (0..dimensions).map(draw).collect()
}

fn shares(columns: &[Vec<f64>], outcomes: &[f64]) -> Vec<f64> {
    let factors: Vec<Factor> = columns.iter().cloned().map(Factor::Ordered).collect();
    importance(&factors, outcomes).into_iter().map(Option::unwrap).collect()
}

/// `2 x + y`: the variances of the terms are as 4 to 1.
fn additive(columns: &[Vec<f64>]) -> Vec<f64> {
    columns[0].iter().zip(&columns[1]).map(|(x, y)| 2.0 * x + y).collect()
}

#[test]
fn an_additive_function_gives_its_known_shares() {
    let columns = points(1, 1000, 3);
    let found = shares(&columns, &additive(&columns));
    for (found, expected) in found.iter().zip([0.8, 0.2, 0.0]) {
        assert!((found - expected).abs() < 0.04, "{found} is not {expected}");
    }
}

/// With few points the shares are right on average: without the correction an irrelevant factor would seem to explain
/// about 7 / 63 = 0.11 of 64 outcomes.
#[test]
fn few_outcomes_give_the_same_shares_on_average() {
    let mut means = [0.0; 3];
    for seed in 0..200 {
        let columns = points(seed, 64, 3);
        let found = shares(&columns, &additive(&columns));
        means.iter_mut().zip(&found).for_each(|(mean, share)| *mean += share / 200.0);
    }
    for (mean, expected) in means.iter().zip([0.8, 0.2, 0.0]) {
        // Nothing is below 0, so the mean of an irrelevant factor lies a little above it.
        assert!((mean - expected).abs() < 0.04, "{mean} is not {expected}");
    }
}

#[test]
fn neither_the_scale_of_a_factor_nor_a_valley_hides_it() {
    let columns = points(3, 600, 2);
    let valley: Vec<f64> = columns[0].iter().map(|x| (x - 0.5) * (x - 0.5)).collect();
    let found = shares(&columns, &valley);
    assert!(found[0] > 0.9 && found[1] < 0.03, "{found:?}");
    let logarithms: Vec<f64> = columns[0].iter().map(|x| (9.0 * x - 5.0).exp()).collect();
    assert_eq!(shares(&[logarithms, columns[1].clone()], &valley), found);
}

#[test]
fn choices_and_whole_numbers_are_factors_too() {
    let columns = points(5, 900, 2);
    let choice = |x: &f64| (3.0 * x) as usize;
    // Levels 0, 1, 3 have the variance 14 / 9; whole numbers 0 to 4 have 2.
    let outcomes: Vec<f64> = columns[0]
        .iter()
        .zip(&columns[1])
        .map(|(x, y)| [0.0, 1.0, 3.0][choice(x)] + (5.0 * y).floor())
        .collect();
    let factors = [
        Factor::Choices(columns[0].iter().map(|x| Some(choice(x))).collect()),
        Factor::Ordered(columns[1].iter().map(|y| (5.0 * y).floor()).collect()),
    ];
    let found: Vec<f64> = importance(&factors, &outcomes).into_iter().map(Option::unwrap).collect();
    let whole = 14.0 / 9.0 + 2.0;
    assert!((found[0] - 14.0 / 9.0 / whole).abs() < 0.03, "{found:?}");
    assert!((found[1] - 2.0 / whole).abs() < 0.03, "{found:?}");
}

/// What a conditional factor explains is measured where it exists; that it exists belongs to the factor of its condition.
#[test]
fn a_conditional_factor_is_judged_where_it_exists() {
    let columns = points(7, 2000, 2);
    let exists = |x: &f64| *x < 0.5;
    let outcomes: Vec<f64> =
        columns[0].iter().zip(&columns[1]).map(|(x, y)| if exists(x) { 10.0 + y } else { 0.0 }).collect();
    let factors = [
        Factor::Choices(columns[0].iter().map(|x| Some(usize::from(exists(x)))).collect()),
        Factor::Ordered(
            columns[0].iter().zip(&columns[1]).map(|(x, y)| if exists(x) { *y } else { f64::NAN }).collect(),
        ),
    ];
    let found = importance(&factors, &outcomes);
    // Var = 10.5^2 / 4 + 1 / 24; the second term is the conditional one.
    let expected = (1.0 / 24.0) / (10.5_f64.powi(2) / 4.0 + 1.0 / 24.0);
    assert!(found[0].unwrap() > 0.99, "{found:?}");
    assert!((found[1].unwrap() - expected).abs() < 3e-4, "{found:?}, expected {expected}");
}

#[test]
fn one_outcome_beyond_all_others_does_not_take_the_variance() {
    let columns = points(9, 200, 2);
    let mut outcomes = additive(&columns);
    outcomes[17] = 1e9;
    outcomes[18] = f64::NAN;
    let found = shares(&columns, &outcomes);
    assert!(found[0] > 0.6 && found[1] < 0.3, "{found:?}");
}

#[test]
fn too_little_to_tell_is_none() {
    let columns = points(11, 40, 1);
    let factor = |count: usize| Factor::Ordered(columns[0][..count].to_vec());
    let few = FEWEST_OUTCOMES - 1;
    assert_eq!(importance(&[factor(few)], &columns[0][..few]), [None]);
    assert!(importance(&[factor(few + 1)], &columns[0][..few + 1])[0].is_some());
    assert_eq!(importance(&[factor(40)], &[0.1; 40]), [None], "no variance");
    assert_eq!(importance(&[factor(20)], &columns[0]), [None], "another number of values");
    let each = Factor::Choices((0..40).map(Some).collect());
    assert_eq!(importance(&[each], &columns[0]), [None], "a choice an outcome");
    let nowhere = Factor::Ordered(vec![f64::NAN; 40]);
    assert_eq!(importance(&[nowhere, Factor::Ordered(vec![1.0; 40])], &columns[0]), [None, Some(0.0)]);
    assert!(importance(&[], &[]).is_empty());
}
