//! Probability of backtest overfitting (Bailey, Borwein, Lopez de Prado, Zhu: "The probability of backtest overfitting",
//! Journal of Computational Finance, 2017).
//!
//! Combinatorially symmetric cross-validation needs sixteen block moments a book and nothing else: the sums of a half are
//! two look-ups, in tables of the 256 subsets of the first and of the last eight blocks.

use crate::table::ReturnMatrix;
use rayon::prelude::*;

/// Blocks into which the periods are cut.
const BLOCKS: usize = 16;

/// Blocks of one table of subsets, and the subsets of them.
const HALF: usize = BLOCKS / 2;
const SUBSETS: usize = 1 << HALF;

/// With fewer periods a block has no variance.
const FEWEST_PERIODS: usize = 2 * BLOCKS;

/// Books whose tables lie in the cache together.
const TILE: usize = 32;

/// Books of one piece of parallel work.
const PIECE: usize = 20 * TILE;

/// A half's variance below this share of its mean square is rounding.
const ROUNDING: f64 = 1e-12;

/// Sum and sum of squares of each block of one book.
type Blocks = [[f64; 2]; BLOCKS];

/// One choice of eight blocks: which of the first and of the last eight are in sample, and 1 / periods of either half.
struct Split {
    first: usize,
    last: usize,
    inside: f64,
    outside: f64,
}

/// Share of the 12,870 ways to choose 8 of 16 blocks of time in which the book with the best Sharpe ratio on the chosen
/// blocks is not above the median of all books on the other blocks: logit of its relative rank <= 0.
///
/// Blocks are as equal as whole periods allow. A half without variance has the Sharpe ratio 0. Of several best books in
/// sample the first one counts; out of sample equal books share the middle of their ranks. `None` for fewer than two books
/// or fewer than 32 periods. The number of threads changes no bit.
pub fn overfitting_probability(returns: &ReturnMatrix) -> Option<f64> {
    let books = returns.books();
    if books < 2 || returns.periods() < FEWEST_PERIODS {
        return None;
    }
    let blocks: Vec<Blocks> =
        (0..books).into_par_iter().map(|book| block_moments(returns.book(book))).collect();
    let splits = splits(returns.periods());
    let winners = winners(&blocks, &splits);
    let marks: Vec<f64> = winners
        .iter()
        .zip(&splits)
        .map(|((_, book), split)| {
            let of = |subset: usize, from: usize| {
                let chosen = (0..HALF).filter(|bit| subset >> bit & 1 == 1);
                // In the order in which the tables add, so that equal sums have equal bits.
                chosen.fold([0.0; 2], |sum, bit| add(sum, blocks[*book][from + bit]))
            };
            let outside = SUBSETS - 1;
            score(add(of(outside ^ split.first, 0), of(outside ^ split.last, HALF)), split.outside)
        })
        .collect();
    let standings = standings(&blocks, &splits, &marks);
    // Middle rank below + (equal + 1) / 2 at most (books + 1) / 2.
    let overfitted = standings.iter().filter(|standing| **standing <= books as f64).count();
    Some(overfitted as f64 / splits.len() as f64)
}

fn add(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [a[0] + b[0], a[1] + b[1]]
}

/// The first period of a block.
fn border(block: usize, periods: usize) -> usize {
    block * periods / BLOCKS
}

fn block_moments(returns: &[f32]) -> Blocks {
    std::array::from_fn(|block| {
        let periods = border(block, returns.len())..border(block + 1, returns.len());
        returns[periods].iter().fold([0.0; 2], |sum, value| {
            let value = f64::from(*value);
            add(sum, [value, value * value])
        })
    })
}

fn splits(periods: usize) -> Vec<Split> {
    let length = |block: usize| border(block + 1, periods) - border(block, periods);
    let chosen = |mask: usize| (0..BLOCKS).filter(|block| mask >> block & 1 == 1).map(length).sum::<usize>();
    let masks = (0..1_usize << BLOCKS).filter(|mask| mask.count_ones() as usize == HALF);
    let split = |mask: usize| {
        let inside = chosen(mask);
        Split {
            first: mask % SUBSETS,
            last: mask / SUBSETS,
            inside: (inside as f64).recip(),
            outside: ((periods - inside) as f64).recip(),
        }
    };
    masks.map(split).collect()
}

/// What orders books as their Sharpe ratios over the same periods do: its square with its sign, up to a factor. No root.
#[inline(always)]
fn score([sum, squares]: [f64; 2], inverse_count: f64) -> f64 {
    let variance = squares - sum * sum * inverse_count;
    let score = sum * sum.abs() / variance;
    if variance > ROUNDING * squares { score } else { 0.0 }
}

/// Sums over every subset of eight blocks for the books of a tile: `[subset]` of sums and of sums of squares.
struct SubsetSums {
    sums: Vec<[f64; TILE]>,
    squares: Vec<[f64; TILE]>,
}

impl SubsetSums {
    /// Blocks `from..from + 8` of at most [`TILE`] books; missing books stay 0.
    fn new(blocks: &[Blocks], from: usize) -> SubsetSums {
        let mut tables = SubsetSums { sums: vec![[0.0; TILE]; SUBSETS], squares: vec![[0.0; TILE]; SUBSETS] };
        for subset in 1..SUBSETS {
            let highest = subset.ilog2() as usize;
            let rest = subset ^ (1 << highest);
            for (lane, book) in blocks.iter().enumerate() {
                let [sum, squares] = book[from + highest];
                tables.sums[subset][lane] = tables.sums[rest][lane] + sum;
                tables.squares[subset][lane] = tables.squares[rest][lane] + squares;
            }
        }
        tables
    }
}

/// Calls `visit` with the scores of a tile's books on one half of every split.
fn visit_splits(
    blocks: &[Blocks],
    splits: &[Split],
    in_sample: bool,
    mut visit: impl FnMut(usize, &[f64; TILE]),
) {
    let (first, last) = (SubsetSums::new(blocks, 0), SubsetSums::new(blocks, HALF));
    let flip = if in_sample { 0 } else { SUBSETS - 1 };
    let mut scores = [0.0; TILE];
    for (number, split) in splits.iter().enumerate() {
        let (a, b) = (split.first ^ flip, split.last ^ flip);
        let inverse = if in_sample { split.inside } else { split.outside };
        let (a_sums, a_squares) = (&first.sums[a], &first.squares[a]);
        let (b_sums, b_squares) = (&last.sums[b], &last.squares[b]);
        for lane in 0..TILE {
            scores[lane] = score([a_sums[lane] + b_sums[lane], a_squares[lane] + b_squares[lane]], inverse);
        }
        visit(number, &scores);
    }
}

/// The best score in sample of each split, with its book; of equal ones the first book.
fn winners(blocks: &[Blocks], splits: &[Split]) -> Vec<(f64, usize)> {
    let nobody = || vec![(f64::NEG_INFINITY, usize::MAX); splits.len()];
    let of_piece = |(piece, blocks): (usize, &[Blocks])| {
        let mut best = nobody();
        for (tile, blocks) in blocks.chunks(TILE).enumerate() {
            let offset = piece * PIECE + tile * TILE;
            visit_splits(blocks, splits, true, |split, scores| {
                let scores = &scores[..blocks.len()];
                let highest = scores.iter().fold(f64::NEG_INFINITY, |high, score| high.max(*score));
                if highest > best[split].0 {
                    let lane = scores.iter().position(|score| *score == highest).unwrap_or(0);
                    best[split] = (highest, offset + lane);
                }
            });
        }
        best
    };
    // The highest, and of equals the first, are the same in whichever order pieces meet.
    let better = |one: (f64, usize), other: (f64, usize)| {
        if other.0 > one.0 || (other.0 == one.0 && other.1 < one.1) { other } else { one }
    };
    blocks.par_chunks(PIECE).enumerate().map(of_piece).reduce(nobody, |one, other| {
        one.into_iter().zip(other).map(|(one, other)| better(one, other)).collect()
    })
}

/// Twice the number of books below each split's mark out of sample, plus the number of those equal to it.
fn standings(blocks: &[Blocks], splits: &[Split], marks: &[f64]) -> Vec<f64> {
    let of_piece = |blocks: &[Blocks]| {
        let mut standings = vec![0.0; splits.len()];
        for blocks in blocks.chunks(TILE) {
            visit_splits(blocks, splits, false, |split, scores| {
                let mark = marks[split];
                let point = |holds: bool| if holds { 1.0 } else { 0.0 };
                let points = scores[..blocks.len()].iter().map(|s| point(*s < mark) + point(*s <= mark));
                // Small whole numbers: their sum is exact in any order.
                standings[split] += points.sum::<f64>();
            });
        }
        standings
    };
    blocks.par_chunks(PIECE).map(of_piece).reduce(
        || vec![0.0; splits.len()],
        |one, other| one.iter().zip(&other).map(|(one, other)| one + other).collect(),
    )
}
