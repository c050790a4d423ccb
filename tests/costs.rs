//! Costs against closed forms (`reference/costs.py`), as a registry, in the ledger, and on real gas and pools.

use super::markets::{HOUR, columns, random_symbol, shared};
use super::program::Scratch;
use candlewick::data::{ColumnsConfig, DataConfig, ExtraColumn, Resampling, load};
use candlewick::domains::market::backtest::costs::{
    PreparedCosts, borrow::Borrow, constant_product_pool::ConstantProductPool,
    constant_product_pool::PoolDepth, fixed::Fixed, funding::Funding, gas::Gas, gas::GasSource,
    maker_taker::MakerTaker, proportional::Proportional, scaled, slippage::Slippage, spread::Spread,
    tiered::Tier, tiered::Tiered,
};
use candlewick::domains::market::backtest::{
    BacktestConfig, CostConfig, FillTime, Sizing, break_even_multiple, carry_rates, check_columns,
    cost_scenarios, lower, optimistic, run_book,
};
use candlewick::kernels::backtest_step::{self, CostParameters};
use candlewick::kernels::fill_costs::{FillCosts, execute, order_for_value};
use candlewick::metrics::{round_trips, trading_metrics};
use candlewick::seed::{Seed, Stream};
use candlewick::table::{BarColumns, Bars, BookResult, NULL, Positions, Side, SymbolBars};
use candlewick::units::Time;
use std::collections::BTreeMap;

fn near(found: f64, expected: f64, what: &str) {
    let error = (found - expected).abs();
    assert!(error <= 1e-12 * expected.abs(), "{what}: found {found}, expected {expected}");
}

fn number(value: &serde_json::Value) -> f64 {
    value.as_str().map_or(NULL, |text| text.parse().unwrap())
}

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn hourly(close: Vec<f64>, volume: Vec<f64>, extras: BTreeMap<String, Vec<f64>>) -> Bars {
    let time = (0..close.len() as i64).map(|row| Time(row * HOUR)).collect();
    let (open, high, low) = (close.clone(), close.clone(), close.clone());
    let columns = BarColumns { time, open, high, low, close, volume };
    Bars::new(vec![SymbolBars::new("ALPHA", columns).unwrap().with_extras(extras).unwrap()]).unwrap()
}

fn reference() -> (Bars, serde_json::Value) {
    let document: serde_json::Value = serde_json::from_str(include_str!("reference/costs.json")).unwrap();
    let extras = document["extra"].as_object().unwrap();
    let extras = extras.iter().map(|(name, values)| (name.clone(), numbers(values))).collect();
    (hourly(numbers(&document["close"]), numbers(&document["volume"]), extras), document)
}

#[test]
fn costs_agree_with_their_closed_forms() {
    let (bars, document) = reference();
    let mut compared = 0;
    for case in document["cases"].as_array().unwrap() {
        let costs: Vec<CostConfig> = serde_json::from_value(case["costs"].clone()).unwrap();
        lower(&costs).unwrap();
        let prepared = PreparedCosts::new(&costs, &bars, 0..1, None).unwrap();
        for fill in case["fills"].as_array().unwrap() {
            let row = fill["row"].as_u64().unwrap() as usize;
            let change = number(&fill["change"]);
            let charge = prepared.fill_costs(0, row).charge(change, number(&fill["reference"]));
            let parts = [
                ("price", charge.price),
                ("fee", charge.fee),
                ("gas", charge.gas),
                ("spread", charge.spread),
                ("slippage", charge.slippage),
                ("impact", charge.impact),
            ];
            for (part, found) in parts {
                near(found, number(&fill[part]), &format!("{} of {change} at {row}: {part}", case["name"]));
                compared += 1;
            }
        }
        for size in case["sizes"].as_array().unwrap() {
            let row = size["row"].as_u64().unwrap() as usize;
            let value = number(&size["budget"]) * size["sign"].as_f64().unwrap();
            let order = order_for_value(0.0, value, number(&size["reference"]), &prepared.fill_costs(0, row));
            assert_eq!(order.reduction.abs(), 0.0);
            near(order.increase.abs(), number(&size["quantity"]), &format!("{} for {value}", case["name"]));
            compared += 1;
        }
    }
    assert_eq!(compared, 18 * (4 * 6 + 3));
}

/// `rate x quantity x close`; 8760 contiguous bars a year.
#[test]
fn costs_of_carrying_are_charged_at_each_close() {
    let (bars, _) = reference();
    let costs = vec![
        CostConfig::Borrow(Borrow { annual_percent: 8.76 }),
        CostConfig::Funding(Funding { multiple: 2.0, ..Funding::default() }),
    ];
    let rates = carry_rates(&costs, &bars.symbols()[0], None).unwrap();
    assert_eq!(rates.funding, [0.0002, 0.0, -0.0004, 0.0, 0.0006, 0.0002, -0.0002, 0.0004]);
    assert_eq!(rates.borrow[0], 0.0);
    rates.borrow[1..].iter().for_each(|rate| near(*rate, 1e-5, "borrow a bar"));
    let fixed = carry_rates(&costs, &bars.symbols()[0], Some(365.0)).unwrap();
    fixed.borrow.iter().for_each(|rate| near(*rate, 0.0876 / 365.0, "borrow a day"));
    let mut target = vec![NULL; 8];
    (target[0], target[3], target[6]) = (-1.0, 1.0, 0.0);
    let positions = Positions::orders(&bars, vec![target]).unwrap();
    let config =
        BacktestConfig { costs, sizing: Sizing::Fixed { quantity: 10.0 }, ..BacktestConfig::default() };
    let book = run_book(&bars, &positions, "carry", &config, 0..8);
    // Short over the closes of rows 1 to 3, long over 4 to 6; closed at the open of row 7.
    let funding = -10.0 * (101.0 * -0.0004) + 10.0 * (103.0 * 0.0006 + 104.0 * 0.0002 + 107.0 * -0.0002);
    near(book.carried.funding, funding, "funding");
    near(book.carried.borrow, 10.0 * (102.0 + 101.0 + 105.0) * 1e-5, "borrow");
    let metrics = trading_metrics(&book, 8760.0);
    assert_eq!((metrics.funding_cost, metrics.borrow_cost), (book.carried.funding, book.carried.borrow));
}

/// Prices, volumes and a funding rate of every kind; quantities of the tests are small beside the volume.
fn random_market(rows: usize, seed: u64) -> Bars {
    let symbols = ["ALPHA", "BETA"].iter().map(|name| {
        let source = random_symbol(name, rows, seed, 0.05);
        let mut stream = Seed(seed).stream("volume", name.len() as u64);
        let mut draw =
            |count: usize, of: fn(&mut Stream) -> f64| (0..count).map(|_| of(&mut stream)).collect();
        let columns = BarColumns {
            time: source.time().to_vec(),
            open: source.open().to_vec(),
            high: source.high().to_vec(),
            low: source.low().to_vec(),
            close: source.close().to_vec(),
            volume: draw(source.len(), |stream| 1e5 * (0.1 + stream.uniform())),
        };
        let funding = draw(source.len(), |stream| 1e-3 * stream.normal());
        let extras = BTreeMap::from([("funding_rate".to_owned(), funding)]);
        SymbolBars::new(*name, columns).unwrap().with_extras(extras).unwrap()
    });
    Bars::new(symbols.collect()).unwrap()
}

fn random_targets(bars: &Bars, seed: u64, least: f64) -> Positions {
    let mut stream = Seed(seed).stream("targets", 0);
    let mut target = || {
        let order = stream.uniform() < 0.1;
        let level = least + (1.0 - least) * stream.uniform();
        if order { level } else { NULL }
    };
    let targets = bars.symbols().iter().map(|symbol| (0..symbol.len()).map(|_| target()).collect()).collect();
    Positions::orders(bars, targets).unwrap()
}

/// Every cost alone, and all together.
fn all_costs() -> Vec<Vec<CostConfig>> {
    let mut lists: Vec<Vec<CostConfig>> = CostConfig::examples().into_iter().map(|cost| vec![cost]).collect();
    lists.push(CostConfig::examples());
    lists
}

fn name(costs: &[CostConfig]) -> String {
    costs.iter().map(CostConfig::name).collect::<Vec<_>>().join(" + ")
}

#[test]
fn costs_are_never_negative_free_at_zero_and_dearer_with_the_multiple() {
    let bars = random_market(60, 1);
    let mut stream = Seed(2).stream("fills", 0);
    for costs in all_costs() {
        lower(&costs).unwrap();
        assert_eq!(scaled(&costs, 1.0), costs);
        for _ in 0..200 {
            let change =
                10_f64.powf(6.0 * stream.uniform() - 3.0) * if stream.uniform() < 0.5 { -1.0 } else { 1.0 };
            let (row, reference) = (2 + stream.below(48), 200.0 * stream.uniform() + 1.0);
            let mut before = 0.0;
            for multiple in [0.0, 0.01, 0.5, 1.0, 2.0, 4.0, 30.0, 100.0] {
                let dear = scaled(&costs, multiple);
                let charge = PreparedCosts::new(&dear, &bars, 0..2, None)
                    .unwrap()
                    .fill_costs(1, row)
                    .charge(change, reference);
                let parts = [charge.fee, charge.gas, charge.spread, charge.slippage, charge.impact];
                assert!(parts.iter().all(|part| *part >= 0.0), "{}: {charge:?}", name(&costs));
                let total: f64 = parts.iter().sum();
                if multiple == 0.0 {
                    assert_eq!((total, charge.price), (0.0, reference), "{}", name(&costs));
                }
                assert!(
                    total >= before * (1.0 - 1e-12),
                    "{} x {multiple}: {total} after {before}",
                    name(&costs)
                );
                before = total;
                let worse: f64 = parts[2..].iter().sum();
                let distance = (charge.price - reference) * change;
                assert!(
                    worse == distance
                        || (worse - distance).abs() <= 1e-9 * reference * change.abs() + 1e-12 * worse
                );
                if multiple > 4.0 || !worse.is_finite() {
                    continue;
                }
                let costs_something = total > 0.0 || multiple == 0.0;
                let carried = matches!(costs.as_slice(), [CostConfig::Borrow(_) | CostConfig::Funding(_)]);
                assert!(costs_something || carried, "{} costs nothing", name(&costs));
            }
        }
    }
}

#[test]
fn costs_in_proportion_keep_the_bits_of_the_bar_step() {
    let mut stream = Seed(3).stream("fills", 0);
    for _ in 0..1000 {
        let rates =
            CostParameters { fee_rate: 0.01 * stream.uniform(), slippage_rate: 0.01 * stream.uniform() };
        let costs = FillCosts { spread_rate: 0.3 * rates.slippage_rate, ..FillCosts::of(rates) };
        let (held, value) = (20.0 * stream.normal(), 2000.0 * stream.normal());
        let (reference, start) = (50.0 + 100.0 * stream.uniform(), 1e4 * stream.normal());
        let expected = backtest_step::order_for_value(held, value, reference, &rates);
        let order = order_for_value(held, value, reference, &costs);
        assert_eq!(
            [order.reduction.to_bits(), order.increase.to_bits()],
            [expected.reduction.to_bits(), expected.increase.to_bits()]
        );
        let change = order.reduction + order.increase;
        let (mut cash, mut quantity) = (start, held);
        let (mut expected_cash, mut expected_quantity) = (start, held);
        let charge = execute(&mut cash, &mut quantity, change, reference, &costs);
        let expected =
            backtest_step::execute(&mut expected_cash, &mut expected_quantity, change, reference, &rates);
        assert_eq!(
            (charge.price.to_bits(), charge.fee.to_bits()),
            (expected.price.to_bits(), expected.fee.to_bits())
        );
        assert_eq!(
            (cash.to_bits(), quantity.to_bits()),
            (expected_cash.to_bits(), expected_quantity.to_bits())
        );
    }
}

#[test]
fn costs_that_a_batch_understands_are_told_from_the_rest() {
    for cost in CostConfig::examples() {
        let rates = lower(std::slice::from_ref(&cost)).unwrap();
        let linear = ["proportional", "maker_taker", "spread", "slippage", "borrow", "funding"];
        assert_eq!(rates.linear().is_some(), linear.contains(&cost.name()), "{}", cost.name());
    }
    let costs = [
        CostConfig::MakerTaker(MakerTaker { maker_bps: 1.0, taker_bps: 4.0 }),
        CostConfig::Slippage(Slippage { bps: 2.0 }),
        CostConfig::Spread(Spread { bps: Some(4.0), ..Spread::default() }),
        CostConfig::Borrow(Borrow { annual_percent: 3.0 }),
    ];
    let linear = lower(&costs).unwrap().linear().unwrap();
    assert_eq!(linear.taker, CostParameters { fee_rate: 4e-4, slippage_rate: 4e-4 });
    assert_eq!(linear.maker, CostParameters { fee_rate: 1e-4, slippage_rate: 0.0 });
    assert_eq!(linear.borrow_rate, 0.03);
}

/// What the book would have without any cost at these fills, less every part of its costs, is what it has.
fn attribution(bars: &Bars, book: &BookResult, what: &str) {
    let mut quantity = vec![0.0; bars.symbols().len()];
    let (mut gross, mut parts) = (book.starting_cash, book.carried.funding + book.carried.borrow);
    for fill in &book.fills {
        let signed = if fill.side == Side::Buy { fill.quantity } else { -fill.quantity };
        quantity[fill.symbol as usize] += signed;
        gross -= signed * fill.reference_price;
        parts += fill.fee + fill.gas + fill.spread + fill.slippage + fill.impact;
    }
    let last = |symbol: &SymbolBars| *symbol.close().last().unwrap();
    gross += bars.symbols().iter().zip(&quantity).map(|(symbol, held)| held * last(symbol)).sum::<f64>();
    let net = *book.equity.equity.last().unwrap();
    assert!(
        (gross - parts - net).abs() <= 1e-9 * book.starting_cash,
        "{what}: {gross} - {parts} is not {net}"
    );
    let metrics = trading_metrics(book, 8760.0);
    let carried = metrics.funding_cost + metrics.borrow_cost;
    let told = metrics.fees + metrics.gas_cost + metrics.slippage_cost + carried;
    assert!((told - parts).abs() <= 1e-9 * book.starting_cash, "{what}: {told} is not {parts}");
    let trips = round_trips(&book.fills);
    let fills: f64 = book.fills.iter().map(|fill| fill.fee + fill.gas).sum();
    assert!(trips.iter().map(|trip| trip.fees).sum::<f64>() <= fills * (1.0 + 1e-12));
}

#[test]
fn costs_add_up_to_what_a_book_lost() {
    for (seed, costs) in all_costs().into_iter().enumerate() {
        let bars = random_market(300, seed as u64);
        let positions = random_targets(&bars, seed as u64, -1.0);
        for fill in [FillTime::NextOpen, FillTime::SameClose] {
            let config = BacktestConfig { costs: costs.clone(), fill, ..BacktestConfig::default() };
            let book = run_book(&bars, &positions, "book", &config, 0..300);
            assert!(book.fills.len() > 20, "{}", name(&costs));
            attribution(&bars, &book, &name(&costs));
        }
    }
}

#[test]
fn costs_leave_no_debt_and_all_in_spends_the_cash() {
    for (seed, costs) in all_costs().into_iter().enumerate() {
        let bars = random_market(300, 100 + seed as u64);
        let positions = random_targets(&bars, seed as u64, 0.0);
        let mut costs = costs;
        // Funding is paid from nothing where all is invested.
        costs.retain(|cost| !matches!(cost, CostConfig::Funding(_)));
        let config = BacktestConfig { costs: costs.clone(), ..BacktestConfig::default() };
        let book = run_book(&bars, &positions, "book", &config, 0..300);
        let least = book.equity.cash.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(least >= -1e-7, "{}: cash {least}", name(&costs));
        let one = Bars::new(vec![bars.symbols()[0].clone()]).unwrap();
        let mut all_in = vec![NULL; one.symbols()[0].len()];
        all_in[10] = 1.0;
        let positions = Positions::orders(&one, vec![all_in]).unwrap();
        let book = run_book(&one, &positions, "all in", &config, 0..one.rows());
        assert_eq!(book.fills.len(), 1);
        assert!(book.equity.cash.last().unwrap().abs() <= 1e-7, "{}: {:?}", name(&costs), book.fills);
    }
}

#[test]
fn more_cost_never_raises_equity_at_equal_quantities() {
    for (seed, costs) in all_costs().into_iter().enumerate() {
        // Funding is a flow of the market: it is there at every multiple, and alone it is no charge.
        let charged = costs.iter().any(|cost| !matches!(cost, CostConfig::Funding(_)));
        let bars = random_market(300, 200 + seed as u64);
        let positions = random_targets(&bars, seed as u64, -1.0);
        let run = |multiple: f64| {
            let sizing = Sizing::Fixed { quantity: 50.0 };
            let config =
                BacktestConfig { sizing, costs: scaled(&costs, multiple), ..BacktestConfig::default() };
            run_book(&bars, &positions, "book", &config, 0..300)
        };
        let mut cheap = run(0.0);
        for multiple in [0.5, 1.0, 2.0, 4.0] {
            let dear = run(multiple);
            assert_eq!(dear.fills.len(), cheap.fills.len());
            let pairs = cheap.equity.equity.iter().zip(&dear.equity.equity);
            for (step, (cheap, dear)) in pairs.enumerate() {
                assert!(*dear <= cheap + 1e-9, "{} x {multiple} at {step}: {dear} > {cheap}", name(&costs));
            }
            assert_eq!(dear.carried.funding.to_bits(), cheap.carried.funding.to_bits());
            let (dear_end, cheap_end) = (dear.equity.equity.last(), cheap.equity.equity.last());
            assert!(if charged { dear_end < cheap_end } else { dear_end == cheap_end });
            cheap = dear;
        }
    }
}

#[test]
fn costs_know_no_later_volume_and_no_later_column() {
    let extras = |changed: f64| {
        let mut gas = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        gas[3] = changed;
        BTreeMap::from([("gas".to_owned(), gas)])
    };
    let run = |volume: f64, gas: f64, fill: FillTime| {
        let bars = hourly(vec![100.0; 6], vec![1e3, 2e3, 3e3, volume, 5e3, 6e3], extras(gas));
        let positions = Positions::orders(&bars, vec![vec![NULL, NULL, 1.0, NULL, NULL, NULL]]).unwrap();
        let costs = serde_json::from_value(serde_json::json!([
            {"linear_slippage": {"coefficient": 0.1}}, {"quadratic_slippage": {"coefficient": 0.1}},
            {"square_root_impact": {"lookback_bars": 3}}, {"gas": {"cost": {"column": "gas"}}}
        ]))
        .unwrap();
        let config = BacktestConfig { costs, fill, cash: 1000.0, ..BacktestConfig::default() };
        run_book(&bars, &positions, "book", &config, 0..6)
    };
    // The open of row 3 knows rows 0 to 2, and so does the close of row 2.
    for fill in [FillTime::NextOpen, FillTime::SameClose] {
        let book = run(4e3, 4.0, fill);
        assert_eq!(book.fills, run(1e9, 999.0, fill).fills);
        assert_eq!(book.fills[0].gas, 3.0);
        near(
            book.fills[0].slippage,
            book.fills[0].quantity * 100.0 * share_costs(book.fills[0].quantity / 3e3),
            "slippage",
        );
    }
}

fn share_costs(share: f64) -> f64 {
    0.1 * share + 0.1 * share * share
}

#[test]
fn costs_of_tiers_follow_the_notional_of_thirty_days() {
    let rows = 24 * 40;
    let bars = hourly(vec![100.0; rows], vec![1e6; rows], BTreeMap::new());
    let mut target = vec![NULL; rows];
    // 10 units of 100 each time: 1000 of notional. Twice in row 0 and 1, then after a day, then 31 days later.
    for (row, level) in [(0, 1.0), (1, 0.0), (24, 1.0), (25 + 24 * 31, 0.0)] {
        target[row] = level;
    }
    let positions = Positions::orders(&bars, vec![target]).unwrap();
    let tier = |(from_volume, fee_bps)| Tier { from_volume, fee_bps };
    let tiers = vec![tier((0.0, 30.0)), tier((1000.0, 20.0)), tier((2000.0, 10.0))];
    let config = BacktestConfig {
        costs: vec![CostConfig::Tiered(Tiered { tiers })],
        sizing: Sizing::Fixed { quantity: 10.0 },
        ..BacktestConfig::default()
    };
    let book = run_book(&bars, &positions, "tiers", &config, 0..rows);
    let fees: Vec<f64> = book.fills.iter().map(|fill| fill.fee).collect();
    assert_eq!(fees, [3.0, 2.0, 1.0, 3.0]);
}

#[test]
fn a_resting_order_pays_the_maker_and_no_spread() {
    let (bars, _) = reference();
    let costs = [
        CostConfig::MakerTaker(MakerTaker { maker_bps: 1.0, taker_bps: 4.0 }),
        CostConfig::Slippage(Slippage { bps: 2.0 }),
        CostConfig::Spread(Spread { bps: Some(4.0), ..Spread::default() }),
        CostConfig::Fixed(Fixed { fee: 0.5 }),
    ];
    let prepared = PreparedCosts::new(&costs, &bars, 0..1, None).unwrap();
    let charge = prepared.fill_costs(0, 2).resting(prepared.maker_fee_rate()).charge(-10.0, 100.0);
    assert_eq!((charge.price, charge.spread, charge.slippage), (100.0, 0.0, 0.0));
    near(charge.fee, 1000.0 * 1e-4 + 0.5, "maker's fee");
}

/// Buys at 100 and sells at 110, with a fee of 1 each: ten units earn 100, so fees may be 50 times as high.
#[test]
fn costs_break_even_where_the_profit_is_spent() {
    let bars = hourly(vec![100.0, 100.0, 110.0, 110.0], vec![1e6; 4], BTreeMap::new());
    let positions = Positions::orders(&bars, vec![vec![1.0, 0.0, NULL, NULL]]).unwrap();
    let with = |costs: Vec<CostConfig>| BacktestConfig {
        costs,
        cash: 10_000.0,
        sizing: Sizing::Fixed { quantity: 10.0 },
        ..BacktestConfig::default()
    };
    let config = with(vec![CostConfig::Fixed(Fixed { fee: 1.0 })]);
    let found = break_even_multiple(&bars, &positions, &config, &(0..4), None).unwrap();
    assert!((found / 50.0 - 1.0).abs() < 1e-3, "{found}");
    let dear = with(vec![CostConfig::Fixed(Fixed { fee: 5000.0 })]);
    let found = break_even_multiple(&bars, &positions, &dear, &(0..4), None).unwrap();
    assert!((found / 0.01 - 1.0).abs() < 1e-3, "{found}");
    let cheap = with(vec![CostConfig::Fixed(Fixed { fee: 0.4 })]);
    assert_eq!(break_even_multiple(&bars, &positions, &cheap, &(0..4), None), None);
    assert_eq!(break_even_multiple(&bars, &positions, &with(Vec::new()), &(0..4), None), None);
    let falling = Positions::orders(&bars, vec![vec![-1.0, 0.0, NULL, NULL]]).unwrap();
    assert_eq!(break_even_multiple(&bars, &falling, &config, &(0..4), None), None);
    let scenarios = cost_scenarios(&bars, &positions, &config, &(0..4), None);
    let multiples: Vec<f64> = scenarios.iter().map(|scenario| scenario.multiple).collect();
    assert_eq!(multiples, [0.0, 1.0, 2.0, 4.0]);
    for scenario in &scenarios {
        near(scenario.total_return.unwrap() * 10_000.0, 100.0 - 2.0 * scenario.multiple, "profit");
    }
    let own = cost_scenarios(&bars, &positions, &config, &(0..4), Some(0));
    assert_eq!(scenarios, own);
}

#[test]
fn scenarios_of_every_cost_start_free() {
    let bars = random_market(200, 9);
    let positions = random_targets(&bars, 9, -1.0);
    for costs in all_costs() {
        // What is free is the trading; a market's funding goes on.
        let flows = costs.iter().filter(|cost| matches!(cost, CostConfig::Funding(_))).cloned().collect();
        let flows = BacktestConfig { costs: flows, ..BacktestConfig::default() };
        let free = run_book(&bars, &positions, "free", &flows, 0..200);
        let config = BacktestConfig { costs: costs.clone(), ..BacktestConfig::default() };
        let scenarios = cost_scenarios(&bars, &positions, &config, &(0..200), None);
        let gross = free.equity.equity.last().unwrap() / free.starting_cash - 1.0;
        assert_eq!(scenarios[0].total_return, Some(gross), "{}", name(&costs));
        let book = run_book(&bars, &positions, "book", &config, 0..200);
        let metrics = trading_metrics(&book, config.annual_periods(&book.equity.time));
        assert_eq!(scenarios[1].total_return, metrics.total_return);
        assert_eq!((scenarios[1].sharpe, scenarios[1].max_drawdown), (metrics.sharpe, metrics.max_drawdown));
    }
}

#[test]
fn costs_that_flatter_are_told() {
    let told = |costs: Vec<CostConfig>, fill: FillTime| {
        optimistic(&BacktestConfig { costs, fill, ..BacktestConfig::default() }).join("; ")
    };
    let fee = CostConfig::Proportional(Proportional { fee_bps: 10.0 });
    let slippage = CostConfig::Slippage(Slippage { bps: 5.0 });
    assert_eq!(told(vec![fee.clone(), slippage.clone()], FillTime::NextOpen), "");
    assert!(told(Vec::new(), FillTime::NextOpen).contains("no costs"));
    assert!(told(vec![fee.clone()], FillTime::NextOpen).contains("no spread, no slippage, no impact"));
    assert!(told(vec![slippage.clone()], FillTime::NextOpen).contains("no fee"));
    assert!(told(vec![fee, slippage.clone()], FillTime::SameClose).contains("very close"));
    let maker = CostConfig::MakerTaker(MakerTaker { maker_bps: 2.0, taker_bps: 2.0 });
    assert!(told(vec![maker, slippage.clone()], FillTime::NextOpen).contains("the maker's fee"));
    let one = Tiered { tiers: vec![Tier { from_volume: 0.0, fee_bps: 1.0 }] };
    assert!(told(vec![CostConfig::Tiered(one), slippage], FillTime::NextOpen).contains("lowest, 1 bps"));
}

#[test]
fn costs_out_of_range_are_refused_by_name() {
    let refused = |text: &str, words: &[&str]| {
        let cost: CostConfig = serde_json::from_str(text).unwrap();
        let error = lower(&[cost]).unwrap_err();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    };
    refused(r#"{"proportional": {"fee_bps": -1}}"#, &["proportional.fee_bps is -1", "0 or more"]);
    refused(r#"{"fixed": {"fee": -1}}"#, &["fixed.fee"]);
    refused(r#"{"tiered": {"tiers": []}}"#, &["tiered.tiers is empty"]);
    refused(r#"{"tiered": {"tiers": [{"from_volume": 1, "fee_bps": 1}]}}"#, &["from_volume 1", "expected 0"]);
    let tiers =
        r#"{"tiered": {"tiers": [{"from_volume": 0, "fee_bps": 1}, {"from_volume": 0, "fee_bps": 1}]}}"#;
    refused(tiers, &["rising"]);
    refused(r#"{"maker_taker": {"maker_bps": -2, "taker_bps": 1}}"#, &["maker_taker.maker_bps"]);
    refused(r#"{"slippage": {"bps": 10000}}"#, &["10000"]);
    refused(r#"{"spread": {}}"#, &["spread.bps", "spread.column"]);
    refused(r#"{"spread": {"bps": 1, "multiple": 2}}"#, &["spread.multiple"]);
    refused(r#"{"spread": {"bps": 1, "column": "x"}}"#, &["one of"]);
    refused(r#"{"linear_slippage": {"coefficient": -0.1}}"#, &["linear_slippage.coefficient"]);
    refused(r#"{"quadratic_slippage": {"coefficient": -0.1}}"#, &["quadratic_slippage.coefficient"]);
    refused(r#"{"square_root_impact": {"lookback_bars": 1}}"#, &["square_root_impact.lookback_bars is 1"]);
    refused(r#"{"borrow": {"annual_percent": -3}}"#, &["borrow.annual_percent"]);
    refused(r#"{"funding": {"column": "x", "multiple": -1}}"#, &["funding.multiple"]);
    refused(r#"{"gas": {}}"#, &["gas.cost", "gas.units"]);
    refused(r#"{"gas": {"cost": {"constant": 1}, "units": 3}}"#, &["alone"]);
    refused(
        r#"{"gas": {"cost": {"running_mean": {"column": "x", "bars": 0}}}}"#,
        &["gas.cost.running_mean.bars"],
    );
    let share = r#"{"gas": {"cost": {"percentile": {"column": "x", "bars": 5, "share": 1.5}}}}"#;
    refused(share, &["percentile.share is 1.5"]);
    let pool = |depth: &str, fee: f64| {
        format!(r#"{{"constant_product_pool": {{"depth": {depth}, "fee_bps": {fee}}}}}"#)
    };
    refused(&pool(r#"{"reserve": 0}"#, 30.0), &["depth.reserve is 0"]);
    refused(&pool(r#"{"reserve": 5}"#, 10_000.0), &["constant_product_pool.fee_bps"]);
    let two = vec![CostConfig::ConstantProductPool(ConstantProductPool::default()); 2];
    assert!(lower(&two).unwrap_err().contains("twice"));
    assert!(serde_json::from_str::<CostConfig>(r#"{"fixed": {"fe": 1}}"#).is_err());
}

#[test]
fn costs_that_read_what_is_not_there_are_refused_by_name() {
    let (bars, _) = reference();
    let refused = |text: &str, bars: &Bars, words: &[&str]| {
        let cost: CostConfig = serde_json::from_str(text).unwrap();
        let error = check_columns(&[cost], bars).unwrap_err();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    };
    let funding = r#"{"funding": {"column": "rate"}}"#;
    refused(funding, &bars, &["funding.column", "`rate`", "ALPHA", "funding_rate, gas_gwei", "data.columns"]);
    let column = |values: Vec<f64>| {
        hourly(vec![1.0; 3], vec![0.0, 0.0, 5.0], BTreeMap::from([("gas".to_owned(), values)]))
    };
    let gas = r#"{"gas": {"cost": {"column": "gas"}}}"#;
    refused(gas, &column(vec![NULL, 1.0, 1.0]), &["gas.cost", "null at row 0", "begin data.range later"]);
    refused(gas, &column(vec![1.0, -1.0, 1.0]), &["-1 at row 1", "mend the data"]);
    refused(r#"{"spread": {"column": "gas"}}"#, &column(vec![1.0, 1.0, f64::INFINITY]), &["inf at row 2"]);
    refused(
        r#"{"funding": {"column": "gas"}}"#,
        &column(vec![1.0, 1.0, f64::INFINITY]),
        &["infinite at row 2"],
    );
    let pool = r#"{"constant_product_pool": {"depth": {"reserve_column": "gas"}, "fee_bps": 30}}"#;
    refused(pool, &column(vec![1.0, 0.0, 1.0]), &["empty at row 1"]);
    let volume = r#"{"linear_slippage": {"coefficient": 0.1}}"#;
    refused(volume, &column(vec![1.0; 3]), &["no volume before row 2"]);
    refused(r#"{"square_root_impact": {}}"#, &column(vec![1.0; 3]), &["square_root_impact", "volume"]);
    let none = hourly(vec![1.0; 3], vec![0.0; 3], BTreeMap::new());
    refused(volume, &none, &["has none", "data.columns.volume"]);
    // A book that is run all the same has no equity rather than free trades.
    let config =
        BacktestConfig { costs: vec![serde_json::from_str(funding).unwrap()], ..BacktestConfig::default() };
    let positions = Positions::orders(&none, vec![vec![1.0, NULL, NULL]]).unwrap();
    let book = run_book(&none, &positions, "unknown", &config, 0..3);
    assert!(book.equity.equity[2].is_nan());
}

#[test]
fn extra_columns_are_loaded_resampled_and_remembered() {
    let scratch = Scratch::new();
    let text = "timestamp,open,high,low,close,volume,gwei,paid\n\
        2024-01-01T00:00:00Z,10,11,9,10,5,30,0.1\n2024-01-01T01:00:00Z,10,11,9,10,5,,0.2\n\
        2024-01-01T02:00:00Z,10,11,9,10,5,50,\n2024-01-01T03:00:00Z,10,11,9,10,5,,\n";
    scratch.write("bars.csv", text);
    let csv = std::fs::File::open(scratch.path("bars.csv")).unwrap();
    let path = scratch.path("bars.parquet");
    write_parquet(csv, &path);
    let extra = |column: &str, resample| ExtraColumn { column: column.into(), resample };
    let columns = ColumnsConfig {
        extra: BTreeMap::from([
            ("gas_price".to_owned(), extra("gwei", Resampling::Last)),
            ("gas_mean".to_owned(), extra("gwei", Resampling::Mean)),
            ("funding_rate".to_owned(), extra("paid", Resampling::Sum)),
        ]),
        ..ColumnsConfig::default()
    };
    let plain = DataConfig::of(path.display().to_string());
    let config = DataConfig { columns, ..plain.clone() };
    let hourly = load(&config).unwrap();
    let symbol = &hourly.bars.symbols()[0];
    let shown = |values: Option<&[f64]>| format!("{:?}", values.unwrap());
    assert_eq!(shown(symbol.extra("gas_price")), "[30.0, NaN, 50.0, NaN]");
    assert_eq!(shown(symbol.extra("funding_rate")), "[0.1, 0.2, NaN, NaN]");
    assert_eq!(shown(symbol.head(2).extra("funding_rate")), "[0.1, 0.2]");
    assert_eq!(symbol.extra("paid"), None);
    assert_ne!(hourly.sha256, load(&plain).unwrap().sha256);
    let longer = load(&DataConfig { resample: Some("2h".parse().unwrap()), ..config.clone() }).unwrap();
    let symbol = &longer.bars.symbols()[0];
    assert_eq!(shown(symbol.extra("gas_price")), "[30.0, 50.0]");
    assert_eq!(shown(symbol.extra("gas_mean")), "[30.0, 50.0]");
    assert_eq!(shown(symbol.extra("funding_rate")), format!("[{}, NaN]", 0.1 + 0.2));
    let mut missing = config;
    missing.columns.extra.insert("spread".into(), extra("gwi", Resampling::Last));
    let error = load(&missing).unwrap_err().to_string();
    assert!(error.contains("`gwi`") && error.contains("extra: {spread: gwei}"), "{error}");
    let text = r#"{"gas": "gwei", "funding": {"column": "paid", "resample": "sum"}}"#;
    let read: BTreeMap<String, ExtraColumn> = serde_json::from_str(text).unwrap();
    assert_eq!((read["gas"].resample, read["funding"].resample), (Resampling::Last, Resampling::Sum));
}

/// CSV to Parquet, nulls kept.
fn write_parquet(csv: std::fs::File, path: &std::path::Path) {
    use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
    let mut fields = vec![Field::new(
        "timestamp",
        DataType::Timestamp(TimeUnit::Millisecond, Some("+00:00".into())),
        true,
    )];
    let names = ["open", "high", "low", "close", "volume", "gwei", "paid"];
    fields.extend(names.map(|name| Field::new(name, DataType::Float64, true)));
    let schema = std::sync::Arc::new(Schema::new(fields));
    let reader = arrow::csv::ReaderBuilder::new(schema.clone()).with_header(true).build(csv).unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, schema, None).unwrap();
    for batch in reader {
        writer.write(&batch.unwrap()).unwrap();
    }
    writer.close().unwrap();
}

fn timestamps(path: &std::path::Path) -> Vec<i64> {
    use arrow::array::AsArray;
    let file = std::fs::File::open(path).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let mut times: Vec<i64> = Vec::new();
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        let column = batch.column_by_name("timestamp").unwrap();
        times.extend(column.as_primitive::<arrow::datatypes::TimestampMicrosecondType>().values());
    }
    times.iter().map(|time| time * 1000).collect()
}

/// Four days of a real pool by minute, beside the real price of gas of those days.
#[test]
fn costs_of_real_gas_are_units_times_the_price_that_was_known() {
    let (Some(pool), Some(gas)) =
        (shared("datasets/dex_uniswap_v3_1m.parquet"), shared("datasets/gas_1m.parquet"))
    else {
        return;
    };
    let prices: BTreeMap<i64, f64> =
        timestamps(&gas).into_iter().zip(columns(&gas, &["gas_price_gwei"]).remove(0)).collect();
    let mut table = columns(&pool, &["price_usdc_per_weth", "in_weth", "liquidity"]).into_iter();
    let (close, volume, liquidity) = (table.next().unwrap(), table.next().unwrap(), table.next().unwrap());
    let times = timestamps(&pool);
    let rows: Vec<usize> = (0..times.len()).filter(|row| prices.contains_key(&times[*row])).collect();
    assert_eq!(rows.len(), 5759);
    let pick = |values: &[f64]| rows.iter().map(|row| values[*row]).collect::<Vec<f64>>();
    let gwei: Vec<f64> = rows.iter().map(|row| prices[&times[*row]]).collect();
    let close = pick(&close);
    let columns = BarColumns {
        time: rows.iter().map(|row| Time(times[*row])).collect(),
        open: close.clone(),
        high: close.clone(),
        low: close.clone(),
        close: close.clone(),
        volume: pick(&volume),
    };
    // Raw liquidity is sqrt(x y) in the smallest parts of tokens of 18 and 6 decimals: 1e12 of them are one.
    let extras =
        BTreeMap::from([("gwei".to_owned(), gwei.clone()), ("liquidity".to_owned(), pick(&liquidity))]);
    let symbol = SymbolBars::new("WETH", columns).unwrap().with_extras(extras).unwrap();
    let bars = Bars::new(vec![symbol]).unwrap();
    let target =
        (0..rows.len()).map(|row| if row % 60 == 30 { f64::from(row as u32 / 60 % 2) } else { NULL });
    let positions = Positions::levels(&bars, vec![target.collect()]).unwrap();
    let price = GasSource::Column("gwei".into());
    let token_price = Some(GasSource::Constant(0.65));
    let costs = vec![
        CostConfig::Gas(Gas {
            cost: None,
            units: Some(150_000.0),
            price: Some(price),
            token_price,
            multiple: 1.0,
        }),
        CostConfig::ConstantProductPool(ConstantProductPool {
            depth: PoolDepth::LiquidityColumn("liquidity".into()),
            fee_bps: 5.0,
            depth_multiple: 1e-12,
        }),
    ];
    let config = BacktestConfig { costs, cash: 50_000.0, ..BacktestConfig::default() };
    let book = run_book(&bars, &positions, "pool", &config, 0..rows.len());
    assert!(book.fills.len() > 80, "{}", book.fills.len());
    for fill in &book.fills {
        let known = fill.step as usize - 1;
        near(fill.gas, 150_000.0 * gwei[known] * 1e-9 * 0.65, "gas");
        let reserve = bars.symbols()[0].extra("liquidity").unwrap()[known] * 1e-12 / close[known].sqrt();
        let rate = match fill.side {
            Side::Buy => fill.quantity / (reserve - fill.quantity),
            Side::Sell => fill.quantity / (reserve + fill.quantity),
        };
        near(fill.impact, fill.quantity * fill.reference_price * rate, "impact");
        // About 27 WETH in a pool of tens of thousands.
        assert!(rate < 2e-3, "{rate}");
    }
    attribution(&bars, &book, "real gas and pool");
}

/// A week of a real WETH-USDC pool by hour: half of what is locked is the reserve.
#[test]
fn costs_of_a_real_pool_follow_its_value_locked() {
    use arrow::array::AsArray;
    let (Some(pools), Some(prices)) =
        (shared("datasets/dex_pools.parquet"), shared("datasets/dex_prices_volume_1h.parquet"))
    else {
        return;
    };
    let texts = |path: &std::path::Path, name: &str| {
        let file = std::fs::File::open(path).unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let mut found: Vec<String> = Vec::new();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let column =
                arrow::compute::cast(batch.column_by_name(name).unwrap(), &arrow::datatypes::DataType::Utf8);
            found.extend(column.unwrap().as_string::<i32>().iter().map(|text| text.unwrap().to_owned()));
        }
        found
    };
    let [chain, pair, tier] = ["chain", "token_pair", "fee_tier"].map(|name| texts(&pools, name));
    let locked = columns(&pools, &["tvl_usd"]).remove(0);
    let locked: BTreeMap<i64, f64> = timestamps(&pools)
        .into_iter()
        .enumerate()
        .filter(|(row, _)| chain[*row] == "arb" && pair[*row] == "USDC-WETH" && tier[*row] == "0.05%")
        .map(|(row, time)| (time, locked[row]))
        .collect();
    let symbols = texts(&prices, "symbol");
    let mut table = columns(&prices, &["price", "dex_volume_usd"]).into_iter();
    let (price, volume) = (table.next().unwrap(), table.next().unwrap());
    let (mut bar, mut values) = (BarColumns::default(), Vec::new());
    for (row, time) in timestamps(&prices).into_iter().enumerate() {
        if let Some(value) = locked.get(&time).filter(|_| symbols[row] == "WETH") {
            bar.time.push(Time(time));
            bar.close.push(price[row]);
            bar.volume.push(volume[row] / price[row]);
            values.push(*value);
        }
    }
    (bar.open, bar.high, bar.low) = (bar.close.clone(), bar.close.clone(), bar.close.clone());
    let close = bar.close.clone();
    let rows = close.len();
    assert!(rows > 150, "{rows}");
    let extras = BTreeMap::from([("locked".to_owned(), values.clone())]);
    let bars = Bars::new(vec![SymbolBars::new("WETH", bar).unwrap().with_extras(extras).unwrap()]).unwrap();
    let target = (0..rows).map(|row| if row % 10 == 0 { f64::from(row as u32 / 10 % 2) } else { NULL });
    let positions = Positions::levels(&bars, vec![target.collect()]).unwrap();
    let depth = PoolDepth::ValueLockedColumn("locked".into());
    let pool = ConstantProductPool { depth, fee_bps: 5.0, depth_multiple: 1.0 };
    let config = BacktestConfig {
        costs: vec![CostConfig::ConstantProductPool(pool)],
        cash: 1_000_000.0,
        ..BacktestConfig::default()
    };
    let book = run_book(&bars, &positions, "pool", &config, 0..rows);
    assert!(book.fills.len() > 10);
    for fill in &book.fills {
        let known = fill.step as usize - 1;
        let (x, y) =
            (values[known] / 2.0 / close[known], values[known] / 2.0 / close[known] * fill.reference_price);
        // Cash that moved, by the invariant itself.
        let (moved, expected) = match fill.side {
            Side::Buy => {
                (fill.quantity * fill.price + fill.fee, (x * y / (x - fill.quantity) - y) / (1.0 - 5e-4))
            }
            Side::Sell => {
                (fill.quantity * fill.price - fill.fee, y - x * y / (x + fill.quantity * (1.0 - 5e-4)))
            }
        };
        let error = (moved / expected - 1.0).abs();
        assert!(
            error < 1e-11,
            "{moved} is not {expected}: the difference of two numbers a hundred times as large"
        );
    }
    assert!(book.equity.cash.iter().all(|cash| *cash >= -1e-6));
    attribution(&bars, &book, "real pool");
}

/// The volume of a made market stands in for gas: what matters is the way from the file to the fills.
#[test]
fn costs_from_columns_go_from_the_file_to_the_fills() {
    let scratch = Scratch::new();
    scratch.market(500, 0.1);
    let yaml = |extra: &str, cost: &str| {
        format!(
            "name: gas\ndata: {{path: market.parquet, resample: 4h, columns: {{extra: {{{extra}}}}}}}\n\
             strategies: {{hold: {{buy_and_hold: {{}}}}}}\n\
             backtest: {{costs: [{{proportional: {{fee_bps: 5}}}}, {{{cost}}}]}}\n"
        )
    };
    let run = |extra: &str, cost: &str, code: i32| {
        scratch.write("gas.yaml", &yaml(extra, cost));
        scratch.candlewick(&["backtest", "gas.yaml", "--json", "--no-report"]).exits(code)
    };
    let gas = "gas: {units: 100000, price: {column: gwei}, token_price: {constant: 2}}";
    let document = run("gwei: volume", gas, 0).json();
    let metrics = &document["strategies"][0]["metrics"];
    assert!(
        metrics["gas_cost"].as_f64().unwrap() > 0.0 && metrics["fees"].as_f64().unwrap() > 0.0,
        "{metrics}"
    );
    let told = document["backtest"]["costs"][1].as_str().unwrap().to_owned();
    assert!(told.contains("100000 units") && told.contains("the column gwei"), "{told}");
    let warnings = document["warnings"].to_string();
    assert!(warnings.contains("no spread, no slippage, no impact"), "{warnings}");
    let missing = run("gwei: volume", "gas: {cost: {column: gwie}}", 2).stderr;
    assert!(
        missing.contains("gas.cost") && missing.contains("gwie") && missing.contains("there: gwei"),
        "{missing}"
    );
    let kept = run("funding_rate: volume", "funding: {column: funding_rate}", 2).stderr;
    assert!(kept.contains("resample: sum"), "{kept}");
    let summed = "funding_rate: {column: volume, resample: sum}";
    let document = run(summed, "funding: {column: funding_rate, multiple: 1.0e-12}", 0).json();
    assert!(document["strategies"][0]["metrics"]["funding_cost"].as_f64().unwrap() > 0.0);
}

/// A short of ten times what the pool holds cannot be covered at any real price: the book is ruined by a finite sum.
#[test]
fn costs_of_covering_more_than_a_pool_holds_ruin_in_numbers() {
    let reserve = |row: usize| if row < 2 { 1e6 } else { 10.0 };
    let extras = BTreeMap::from([("units".to_owned(), (0..6).map(reserve).collect())]);
    let bars = hourly(vec![100.0; 6], vec![1.0; 6], extras);
    let pool = r#"{"constant_product_pool": {"depth": {"reserve_column": "units"}, "fee_bps": 30}}"#;
    for multiple in [1.0, 1000.0] {
        let costs = scaled(&[serde_json::from_str(pool).unwrap()], multiple);
        let config = BacktestConfig { cash: 10_000.0, costs, ..BacktestConfig::default() };
        let positions = Positions::orders(&bars, vec![vec![-1.0, NULL, NULL, 0.0, 1.0, NULL]]).unwrap();
        let book = run_book(&bars, &positions, "short", &config, 0..6);
        assert_eq!(book.fills.len(), 2, "sold, covered, and closed for good");
        let cover = book.fills[1];
        assert!(cover.quantity > 5.0, "{cover:?}");
        assert!(book.fills.iter().all(|fill| (fill.price + fill.fee + fill.impact).is_finite()));
        assert!(book.equity.equity.iter().all(|worth| worth.is_finite()));
        if multiple == 1.0 {
            assert_eq!(cover.price, 100.0 * (1.0 + 1e6));
            assert_eq!(book.bankrupt_at, Some(book.equity.time[4]));
            assert!(book.equity.equity[5] < 0.0);
        }
    }
}
