//! Generators of ticks, of order-book depth with crashes, and of crashes in real bars: what they promise, and that no
//! artefact gives a crash away.

use crate::markets::shared;
use crate::program::Scratch;
use candlewick::data::*;
use candlewick::rundir::TableFile;
use candlewick::table::SymbolBars;
use candlewick::units::Time;
use std::path::Path;
use std::sync::OnceLock;

const MINUTE: i64 = 60_000_000_000;

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
    let centre = mean(values);
    mean(&values.iter().map(|value| (value - centre).powi(2)).collect::<Vec<_>>()).sqrt()
}

#[test]
fn the_noise_floor_of_sine_ticks_is_exact() {
    let floor = SineTicksGenerator::noise_floor();
    let figures = [floor.mse, floor.mae, floor.accuracy].map(Option::unwrap);
    assert_eq!(figures.map(|figure| format!("{figure:.3}")), ["2.253", "1.188", "0.256"]);
}

#[test]
fn the_best_forecasts_of_simulated_ticks_reach_the_noise_floor() {
    let ticks = 400_000;
    let values = SineTicksGenerator { ticks, seed: 3, start: Time(0) }.values();
    assert!(values.iter().all(|value| value.fract() == 0.0 && value.abs() <= 10.0));
    assert!(values.contains(&10.0) && values.contains(&-10.0));
    let (mut squares, mut distances, mut hits) = (0.0, 0.0, 0.0);
    for phase in 0..10 {
        let mut seen: Vec<f64> = values.iter().skip(phase).step_by(10).copied().collect();
        seen.sort_by(f64::total_cmp);
        let (centre, median) = (mean(&seen), seen[seen.len() / 2]);
        squares += seen.iter().map(|value| (value - centre).powi(2)).sum::<f64>();
        distances += seen.iter().map(|value| (value - median).abs()).sum::<f64>();
        hits += seen.chunk_by(|left, right| left == right).map(<[f64]>::len).max().unwrap() as f64;
    }
    let floor = SineTicksGenerator::noise_floor();
    let found = [squares, distances, hits].map(|sum| sum / ticks as f64);
    // Three standard errors of 400,000 ticks.
    let exact = [floor.mse, floor.mae, floor.accuracy].map(Option::unwrap);
    for (found, (exact, error)) in found.iter().zip(exact.iter().zip([0.016, 0.005, 0.0021])) {
        assert!((found - exact).abs() < error, "{found} is not {exact}");
    }
}

/// Minutes of the varied process with the truth about them.
struct Depth {
    mid: Vec<f64>,
    sell: Vec<f64>,
    buy: Vec<f64>,
    blr: Vec<f64>,
    metadata: GeneratedMetadata,
}

fn depth(path: &Path, process: DepthProcess, rows: usize, seed: u64) -> Depth {
    let start = Time(0);
    let generator = DepthCrashesGenerator { process, rows, crashes_per_day: None, seed, start };
    let metadata = generator.write(path, "command").unwrap();
    let table = TableFile::read(path).unwrap();
    let column = |name: &str| table.float(name).unwrap().to_vec();
    let [mid, buy, sell, blr] = ["mid_price", "buy_volume", "sell_volume", "blr"].map(column);
    Depth { mid, sell, buy, blr, metadata }
}

/// The file as it is shipped, but of another seed: the promises hold for the process.
fn varied() -> &'static Depth {
    static MADE: OnceLock<Depth> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        depth(&folder.path().join("depth.parquet"), DepthProcess::Varied, 86_400, 21)
    })
}

impl Depth {
    fn row(&self, time: &str) -> usize {
        (Time::parse(time).unwrap().0 / MINUTE) as usize
    }

    /// First and last row of each fall.
    fn falls(&self) -> Vec<(usize, usize)> {
        let rows = |crash: &PlantedCrash| (self.row(&crash.start), self.row(&crash.bottom));
        self.metadata.crashes.iter().map(rows).collect()
    }

    /// Rows at least an hour from any stress or fall.
    fn calm(&self) -> Vec<bool> {
        let mut calm = vec![true; self.mid.len()];
        let mut spoil = |from: usize, to: usize| {
            let to = (to + 240).min(calm.len());
            calm[from.saturating_sub(5)..to].fill(false);
        };
        for crash in &self.metadata.crashes {
            let first = crash.warning.as_ref().unwrap_or(&crash.start);
            spoil(self.row(first), self.row(&crash.bottom));
        }
        for stress in &self.metadata.false_starts {
            spoil(self.row(&stress.start), self.row(&stress.peak));
        }
        calm
    }

    fn returns(&self) -> Vec<f64> {
        [0.0].into_iter().chain(self.mid.windows(2).map(|pair| (pair[1] / pair[0]).ln())).collect()
    }

    /// Whether the price falls by 5 % within 30 minutes, by definition.
    fn events(&self) -> Vec<bool> {
        let later = |row: usize| &self.mid[row + 1..(row + 31).min(self.mid.len())];
        (0..self.mid.len()).map(|row| later(row).iter().any(|price| *price <= 0.95 * self.mid[row])).collect()
    }
}

#[test]
fn crashes_are_many_and_varied_and_stand_where_the_metadata_say() {
    let depth = varied();
    let crashes = &depth.metadata.crashes;
    assert!((100..=150).contains(&crashes.len()), "{}", crashes.len());
    let count = |what: fn(&&PlantedCrash) -> bool| crashes.iter().filter(what).count();
    let (unwarned, recovered) = (count(|crash| !crash.warned), count(|crash| crash.recovered_percent > 0.0));
    assert!(unwarned >= 10 && crashes.len() - unwarned >= 60, "{unwarned}");
    assert!((25..80).contains(&recovered), "{recovered}");
    assert!(depth.metadata.false_starts.len() >= 40);
    for (crash, (start, bottom)) in crashes.iter().zip(depth.falls()) {
        assert_eq!(bottom - start + 1, crash.fall_bars);
        let fall = 1.0 - depth.mid[bottom] / depth.mid[start - 1];
        assert!((100.0 * fall - crash.depth_percent).abs() < 3.0, "{fall} {crash:?}");
        assert_eq!(crash.warned, crash.warning.is_some());
        if let Some(warning) = &crash.warning {
            assert_eq!(start - depth.row(warning), crash.lead_bars);
        }
    }
    let spread = |of: fn(&PlantedCrash) -> f64| {
        deviation(&crashes.iter().map(of).collect::<Vec<_>>())
            / mean(&crashes.iter().map(of).collect::<Vec<_>>())
    };
    assert!(spread(|crash| crash.depth_percent) > 0.2);
    assert!(spread(|crash| crash.fall_bars as f64) > 0.25);
    // As the label `drawdown_within {horizons_bars: [30], fall_percent: 5}` counts them.
    let events = depth.events();
    let positive: Vec<usize> = (0..events.len()).filter(|row| events[*row]).collect();
    let distinct = 1 + positive.windows(2).filter(|pair| pair[1] - pair[0] >= 30).count();
    let rate = positive.len() as f64 / events.len() as f64;
    assert!((100..=150).contains(&distinct) && (0.03..0.06).contains(&rate), "{distinct} events, {rate}");
}

#[test]
fn nothing_but_the_book_announces_a_crash() {
    let depth = varied();
    let (calm, falls, returns) = (depth.calm(), depth.falls(), depth.returns());
    let all_calm = |values: &[f64]| -> Vec<f64> {
        (1..values.len()).filter(|row| calm[*row] && calm[*row - 1]).map(|row| values[row]).collect()
    };
    let within = |values: &[f64], rows: &dyn Fn(usize, usize) -> std::ops::Range<usize>| -> Vec<f64> {
        falls.iter().flat_map(|(start, bottom)| values[rows(*start, *bottom)].to_vec()).collect()
    };
    assert!(calm.iter().filter(|calm| **calm).count() > 20_000);
    // The noise of the sell volume is the same in calm, before and in a fall.
    let changes: Vec<f64> =
        [0.0].into_iter().chain(depth.sell.windows(2).map(|pair| (pair[1] / pair[0]).ln())).collect();
    let usual = deviation(&all_calm(&changes));
    for rows in [
        within(&changes, &|start, _| start - 30..start),
        within(&changes, &|start, bottom| start..bottom + 1),
    ] {
        let ratio = deviation(&rows) / usual;
        assert!((0.93..1.07).contains(&ratio), "{ratio}");
    }
    // The first bars of a fall, and those before it, are moves like any other.
    let mut sizes: Vec<f64> = all_calm(&returns).iter().map(|change| change.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let (typical, large) = (mean(&sizes), sizes[sizes.len() * 99 / 100]);
    for first in
        [within(&returns, &|start, _| start..start + 1), within(&returns, &|start, _| start - 2..start)]
    {
        let first: Vec<f64> = first.iter().map(|change| change.abs()).collect();
        let ratio = mean(&first) / typical;
        assert!((0.7..1.5).contains(&ratio), "{ratio}");
        let exceptional = first.iter().filter(|size| **size > large).count();
        assert!(exceptional as f64 <= 0.08 * first.len() as f64, "{exceptional} of {}", first.len());
    }
    // No price is a bound on which others rest.
    let mut prices = depth.mid.clone();
    prices.sort_by(f64::total_cmp);
    let most = prices.chunk_by(|left, right| left == right).map(<[f64]>::len).max().unwrap();
    assert!(most < 30, "one price {most} times");
    let repeated = depth.mid.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert!((repeated as f64) < 0.01 * depth.mid.len() as f64, "{repeated}");
}

#[test]
fn a_healthy_book_wanders_and_its_volumes_agree() {
    let depth = varied();
    for row in 0..depth.mid.len() {
        let ratio = depth.buy[row] / depth.sell[row];
        assert!((depth.blr[row] - ratio).abs() <= 0.5e-4 + 1e-12);
    }
    let (calm, logs) = (depth.calm(), depth.blr.iter().map(|blr| blr.ln()).collect::<Vec<_>>());
    let lagged = |lag: usize| {
        let pairs = (lag..logs.len()).filter(|row| (row - lag..row + 1).all(|row| calm[row]));
        let (now, before): (Vec<f64>, Vec<f64>) = pairs.map(|row| (logs[row], logs[row - lag])).unzip();
        let (centre, earlier) = (mean(&now), mean(&before));
        let products = now.iter().zip(&before).map(|(now, before)| (now - centre) * (before - earlier));
        mean(&products.collect::<Vec<_>>()) / (deviation(&now) * deviation(&before))
    };
    assert!(lagged(1) > 0.5 && lagged(10) > 0.4 && lagged(1) < 0.95, "{} {}", lagged(1), lagged(10));
}

/// Mean over the hits of the precision at each, when rows are taken in the order of falling scores.
fn average_precision(events: &[bool], scores: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|left, right| scores[*right].total_cmp(&scores[*left]));
    let (mut hits, mut sum) = (0.0, 0.0);
    for (taken, row) in order.iter().enumerate() {
        if events[*row] {
            hits += 1.0;
            sum += hits / (taken + 1) as f64;
        }
    }
    sum / hits
}

#[test]
fn the_book_helps_more_context_helps_more_and_nothing_is_certain() {
    let depth = varied();
    let events = depth.events();
    let base = events.iter().filter(|event| **event).count() as f64 / events.len() as f64;
    let ratio_alone: Vec<f64> = depth.blr.iter().map(|blr| -blr).collect();
    // A crash that has just happened is the commonest false alarm of a low ratio; the last half hour's fall unmasks it.
    let scores = (0..events.len()).map(|row| {
        let recent = &depth.mid[row.saturating_sub(29)..row + 1];
        let highest = recent.iter().copied().fold(0.0, f64::max);
        let book = &depth.blr[row.saturating_sub(9)..row + 1];
        -mean(&book.iter().map(|blr| blr.ln()).collect::<Vec<_>>()) + 10.0 * (depth.mid[row] / highest).ln()
    });
    let with_context: Vec<f64> = scores.collect();
    let (alone, more) = (average_precision(&events, &ratio_alone), average_precision(&events, &with_context));
    assert!(alone > 3.0 * base, "{alone} against {base}");
    assert!(more > 1.25 * alone && more < 0.6, "{more} against {alone}");
}

#[test]
fn the_sentinel_process_follows_its_formulas() {
    let folder = tempfile::tempdir().unwrap();
    let depth = depth(&folder.path().join("sentinel.parquet"), DepthProcess::Sentinel, 10_000, 7);
    let (healthy, crash) = (0..9_900, 9_900..10_000);
    let blr = &depth.blr[healthy.clone()];
    assert!(blr.iter().all(|blr| *blr >= 0.8) && (mean(blr) - 1.2).abs() < 0.01);
    assert!((deviation(blr) - 0.15).abs() < 0.005);
    assert!(depth.sell[healthy.clone()].iter().all(|sell| (4000.0..=6000.0).contains(sell)));
    let bounded = depth.mid[healthy].iter().filter(|mid| **mid == 2700.0 || **mid == 3300.0).count();
    assert!(bounded > 1000, "the price of this process rests on its bounds: {bounded}");
    for (step, row) in crash.enumerate() {
        let t = step as f64 / 99.0;
        assert!((depth.mid[row] - (3000.0 - 450.0 * t)).abs() < 25.0);
        assert!((depth.blr[row] - (1.2 - 0.85 * (1.0 - (-3.0 * t).exp()))).abs() < 0.1);
        assert!((depth.sell[row] - 5000.0 * (1.0 + 2.0 * (1.0 - depth.blr[row]))).abs() < 0.6);
    }
    for row in 0..10_000 {
        assert!((depth.buy[row] - depth.blr[row] * depth.sell[row]).abs() < 1.0);
    }
    assert_eq!(depth.metadata.crashes.len(), 1);
    assert_eq!(depth.row(&depth.metadata.crashes[0].start), 9_900);
}

#[test]
fn impossible_settings_of_depth_are_refused_with_the_possible_ones() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |rows: usize, crashes_per_day: f64, start: Time| {
        let process = DepthProcess::Varied;
        let crashes_per_day = Some(crashes_per_day);
        let generator = DepthCrashesGenerator { process, rows, crashes_per_day, seed: 1, start };
        generator.write(&folder.path().join("depth.parquet"), "command").unwrap_err().to_string()
    };
    assert!(refused(50, 2.0, Time(0)).contains("at least 200"));
    for rate in [0.0, -1.0, f64::NAN, 500.0] {
        let text = refused(2000, rate, Time(0));
        assert!(text.contains("crashes-per-day") && text.contains("up to"), "{text}");
    }
    assert!(refused(2000, 2.0, Time(i64::MAX - MINUTE)).contains("2262"));
    let ticks = SineTicksGenerator { ticks: 1, seed: 1, start: Time(0) };
    let text = ticks.write(&folder.path().join("ticks.parquet"), "command").unwrap_err().to_string();
    assert!(text.contains("at least 2"), "{text}");
}

#[test]
fn a_rate_of_crashes_is_refused_where_there_is_but_one() {
    let scratch = Scratch::new();
    let words = ["data", "generate", "depth-crashes", "--process", "sentinel", "--output", "depth.parquet"];
    let refused = scratch.candlewick(&[&words[..], &["--crashes-per-day", "5"]].concat()).exits(2).stderr;
    assert!(refused.contains("crashes-per-day") && refused.contains("--process varied"), "{refused}");
    assert!(!scratch.path("depth.parquet").exists());
    let document = scratch.candlewick(&[&words[..], &["--json"]].concat()).exits(0).json();
    assert!(!document["command"].as_str().unwrap().contains("crashes-per-day"), "{document}");
}

/// Generated bars with crashes in them, loaded with their columns.
fn injected(scratch: &Scratch, bars: &Path, name: &str) -> (Loaded, GeneratedMetadata) {
    let injection = CrashInjection { bars: bars.into(), crashes_per_year: 24.0, seed: 7 };
    let path = scratch.path(name);
    let metadata = injection.write(&path, "command").unwrap();
    let columns = metadata.columns.clone().unwrap();
    let loaded = load(&DataConfig { columns, ..DataConfig::of(path.to_string_lossy()) }).unwrap();
    assert_eq!(loaded.sha256, metadata.sha256);
    (loaded, metadata)
}

#[test]
fn injected_crashes_know_nothing_of_the_bars() {
    let scratch = Scratch::new();
    let source = load(&DataConfig::of(scratch.market(6_000, 0.05).to_string_lossy())).unwrap().bars;
    let (full, truth) = injected(&scratch, &scratch.path("market.parquet"), "full.parquet");
    assert!(truth.crashes.len() >= 12, "{}", truth.crashes.len());
    assert_ne!(
        truth.crashes.iter().find(|crash| crash.symbol == "ALPHA").unwrap().start,
        truth.crashes.iter().find(|crash| crash.symbol == "BETA").unwrap().start,
    );
    // Bars that end earlier: all that is left is the same.
    let heads = source.symbols().iter().map(|bars| bars.head(4_000)).collect();
    write_bars(&source.with_symbols(heads), &scratch.path("head.parquet")).unwrap();
    let (head, _) = injected(&scratch, &scratch.path("head.parquet"), "short.parquet");
    for (short, long) in head.bars.symbols().iter().zip(full.bars.symbols()) {
        let long = long.head(4_000);
        assert_eq!(short.close(), long.close());
        assert_eq!(short.low(), long.low());
        assert_eq!(short.extras(), long.extras());
    }
    // Wilder bars: the same places and books.
    let wild: Vec<SymbolBars> = source
        .symbols()
        .iter()
        .map(|bars| {
            let mut columns = bars.columns().clone();
            let first = columns.close[0];
            for part in [&mut columns.open, &mut columns.high, &mut columns.low, &mut columns.close] {
                part.iter_mut().for_each(|price| *price = first * (*price / first).powi(3));
            }
            bars.with_columns(columns).unwrap()
        })
        .collect();
    write_bars(&source.with_symbols(wild), &scratch.path("wild.parquet")).unwrap();
    let (wild, same) = injected(&scratch, &scratch.path("wild.parquet"), "wilder.parquet");
    assert_eq!(same.crashes, truth.crashes);
    assert_eq!(same.false_starts, truth.false_starts);
    for (wild, usual) in wild.bars.symbols().iter().zip(full.bars.symbols()) {
        assert_eq!(wild.extras(), usual.extras());
    }
}

#[test]
fn injected_crashes_multiply_prices_and_leave_volumes() {
    let scratch = Scratch::new();
    let source = load(&DataConfig::of(scratch.market(6_000, 0.05).to_string_lossy())).unwrap().bars;
    let (made, truth) = injected(&scratch, &scratch.path("market.parquet"), "made.parquet");
    for (before, after) in source.symbols().iter().zip(made.bars.symbols()) {
        assert_eq!(before.time(), after.time());
        assert_eq!(before.volume(), after.volume());
        let factor: Vec<f64> =
            before.close().iter().zip(after.close()).map(|(before, after)| after / before).collect();
        for row in 1..factor.len() {
            let open = after.open()[row] / before.open()[row];
            assert!(
                (open / factor[row - 1] - 1.0).abs() < 1e-12,
                "the open has the factor of the close before"
            );
        }
        let row = |time: &str| before.time().binary_search(&Time::parse(time).unwrap()).unwrap();
        let own: Vec<&PlantedCrash> =
            truth.crashes.iter().filter(|crash| crash.symbol == before.symbol()).collect();
        for crash in &own {
            let (start, bottom) = (row(&crash.start), row(&crash.bottom));
            let fall = 100.0 * (1.0 - factor[bottom] / factor[start - 1]);
            // The drift pays for the fall on average, a little in every bar.
            assert!((fall - crash.depth_percent).abs() < 2.0, "{fall} {crash:?}");
        }
        assert!(own.len() >= 5);
        let rising = factor.windows(2).filter(|pair| pair[1] > pair[0]).count();
        assert!(rising as f64 > 0.8 * factor.len() as f64, "{rising}");
    }
}

#[test]
fn crashes_go_into_a_real_panel() {
    let Some(path) = shared("datasets/crypto_1h_panel.parquet") else { return };
    let scratch = Scratch::new();
    let bars = path.to_string_lossy();
    let words = ["data", "generate", "crashes", "--bars", &*bars, "--output", "crashes.parquet", "--json"];
    let document = scratch.candlewick(&words).exits(0).json();
    assert_eq!(document["rows"], 103_508);
    let metadata: GeneratedMetadata = serde_json::from_value(document).unwrap();
    let years = 103_508.0 / 8_760.0;
    let rate = metadata.crashes.len() as f64 / years;
    assert!((rate - 12.0).abs() < 3.0, "{rate} crashes a year");
    let columns = metadata.columns.clone().unwrap();
    let loaded =
        load(&DataConfig { columns, ..DataConfig::of(scratch.path("crashes.parquet").to_string_lossy()) });
    assert_eq!(loaded.unwrap().sha256, metadata.sha256);
}

#[test]
fn every_generator_tells_what_it_made() {
    let scratch = Scratch::new();
    let said = |words: &[&str]| {
        let words: Vec<&str> = ["data", "generate"].iter().chain(words).copied().collect();
        scratch.candlewick(&words).exits(0).stdout
    };
    let ticks = said(&["sine-ticks", "--ticks", "100", "--output", "ticks.parquet"]);
    assert!(ticks.contains("100 rows of price") && ticks.contains("MSE 2.253, MAE 1.188"), "{ticks}");
    let depth = said(&["depth-crashes", "--process", "sentinel", "--output", "depth.parquet"]);
    assert!(depth.contains("10000 rows of ETHUSDC") && depth.contains("one crash"), "{depth}");
    scratch.market(3_000, 0.0);
    let crashes = said(&["crashes", "--bars", "market.parquet", "--output", "crashes.parquet"]);
    assert!(crashes.contains("crashes: ") && crashes.contains("in the bars of market.parquet"), "{crashes}");
    let text = std::fs::read_to_string(scratch.path("crashes.metadata.json")).unwrap();
    assert!(text.contains("data generate crashes --bars market.parquet --crashes-per-year 12 --seed 7"));
}
