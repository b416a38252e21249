//! The gateway: what it adds to a question, how many questions it carries, what ten thousand tenants cost it, and whether one
//! that is loud takes anything from the others. Bedrock is a bare server beside it, and each time is compared with the same
//! questions put to that server itself, in turn.

pub mod around;
pub mod awake;
mod load;
mod program;

use std::time::Duration;

use self::around::Around;
use self::awake::Awake;
use self::load::{Connection, Outcome, Whom};
use self::program::Gateway;
use crate::report::{Bound, Report, median};

/// Both sides in turn so many times.
const ROUNDS: usize = 5;
/// Questions of one round, one after the other.
const ALONE: usize = 2000;
/// How many a second where they come steadily, over how many connections, and for how long.
const STEADY: (u32, usize, Duration) = (500, 16, Duration::from_secs(4));
/// For how long as many are asked as go, and over how many connections.
const MOST: (Duration, usize) = (Duration::from_secs(4), 32);
/// Nothing waits for AWS's rate where that is not what is measured.
const UNBOUNDED: [&str; 4] = ["--retrieve-rate", "100000", "--pace", "100%"];
/// What AWS grants to an account each second.
const GRANTED: usize = 20;
/// How long the tenants ask that ask against each other.
const AGAINST: Duration = Duration::from_secs(30);

pub async fn run(report: &mut Report) -> anyhow::Result<()> {
    let around = Around::start(100).await?;
    let bedrock = Whom::bedrock(around.endpoint())?;
    {
        let gateway = Gateway::start(&around, false, &UNBOUNDED).await?;
        let through = Whom::gateway(&gateway)?;
        warm(&through, 100).await?;
        added(report, &bedrock, &through).await?;
        carries(report, "gateway-questions-a-second", &through, 5000.0).await?;
    }
    {
        let gateway = Gateway::start(&around, true, &UNBOUNDED).await?;
        let through = Whom::gateway(&gateway)?;
        warm(&through, 100).await?;
        carries(report, "gateway-questions-a-second-tls", &through, 2000.0).await?;
    }
    drop(around);
    many(report, 10_000).await?;
    loud(report).await?;
    equals(report).await
}

/// Whoever is asked for the first time needs a session, a record and two reviews.
async fn warm(whom: &Whom, tenants: usize) -> anyhow::Result<()> {
    let mut connection = Connection::open(whom).await?;
    for n in 0..tenants {
        connection.answered(n).await?;
    }
    Ok(())
}

fn quantile(times: &mut [Duration], part: f64) -> f64 {
    times.sort();
    let at = ((times.len() as f64 * part) as usize).min(times.len() - 1);
    times[at].as_secs_f64() * 1000.0
}

/// What it adds to a question that is alone, and to one among many.
async fn added(report: &mut Report, bedrock: &Whom, through: &Whom) -> anyhow::Result<()> {
    let (asleep, _) = compared(report, "gateway-times-ms-asleep", bedrock, through).await?;
    report.note(format!("where processors fall asleep between two questions, {asleep:.3} ms are added"));
    let _awake = Awake::keep()?;
    let (alone, steady) = compared(report, "gateway-times-ms", bedrock, through).await?;
    report.judge("gateway-added-p50-ms", alone, Bound::AtMost(0.20));
    report.judge("gateway-added-p50-ms-at-500-a-second", steady, Bound::AtMost(0.30));
    Ok(())
}

/// How much longer a question takes through the gateway: alone, and at a steady rate.
async fn compared(
    report: &mut Report,
    name: &str,
    bedrock: &Whom,
    through: &Whom,
) -> anyhow::Result<(f64, f64)> {
    let (rate, connections, lasting) = STEADY;
    let (mut alone, mut steady, mut rounds) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut times = [load::alone(bedrock, ALONE).await?, load::alone(through, ALONE).await?];
        let [bare, with] = times.each_mut().map(|times| quantile(times, 0.5));
        alone.push(with - bare);
        let tails = times.each_mut().map(|times| quantile(times, 0.99));
        let mut times = [
            load::steady(bedrock, rate, lasting, connections).await?,
            load::steady(through, rate, lasting, connections).await?,
        ];
        let [steady_bare, steady_with] = times.each_mut().map(|times| quantile(times, 0.5));
        steady.push(steady_with - steady_bare);
        rounds.push([bare, with, tails[0], tails[1], steady_bare, steady_with]);
    }
    report.raw(&format!("{name}: p50 bare, p50, p99 bare, p99, steady p50 bare, steady p50"), &rounds);
    Ok((median(alone), median(steady)))
}

async fn carries(report: &mut Report, name: &str, through: &Whom, least: f64) -> anyhow::Result<()> {
    let (lasting, connections) = MOST;
    let mut rounds = Vec::new();
    for _ in 0..3 {
        rounds.push(load::most(through, lasting, connections).await?);
    }
    report.raw(name, &rounds);
    report.judge(name, median(rounds), Bound::AtLeast(least));
    Ok(())
}

/// What very many tenants cost, of which each has been asked once.
async fn many(report: &mut Report, tenants: usize) -> anyhow::Result<()> {
    let around = Around::start(tenants).await?;
    let gateway = Gateway::start(&around, false, &UNBOUNDED).await?;
    let listed = gateway.memory("VmRSS")?;
    around.served().await?;
    warm(&Whom::gateway(&gateway)?, tenants).await?;
    let (asked, most) = (gateway.memory("VmRSS")?, gateway.memory("VmHWM")?);
    let served = around.served().await?;
    report.note(format!(
        "{tenants} tenants: {listed:.1} MiB listed, {asked:.1} asked once each, {most:.1} at most"
    ));
    report.raw("gateway-served", &served);
    report.judge("gateway-memory-mib-of-10000-tenants", asked, Bound::AtMost(60.0));
    let count = |kind: &str| served.get(kind).copied().unwrap_or_default();
    report.judge("gateway-sessions-of-10000-tenants", count("AssumeRole") as f64, Bound::Exactly(tenants));
    Ok(())
}

/// Tenants that ask at rates of their own, before AWS's rate.
async fn against(rates: &[f64]) -> anyhow::Result<Vec<Outcome>> {
    let around = Around::start(rates.len()).await?;
    let gateway = Gateway::start(&around, false, &[]).await?;
    let through = Whom::gateway(&gateway)?;
    warm(&through, rates.len()).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    around.grant(GRANTED).await?;
    let each = rates.iter().enumerate().map(|(n, rate)| {
        // Each has its own moment in a second.
        let after = Duration::from_secs_f64(n as f64 / rates.len() as f64);
        tokio::spawn(load::insists(through.clone(), n, *rate, after, AGAINST))
    });
    let mut outcomes = Vec::new();
    for outcome in futures::future::join_all(each).await {
        outcomes.push(outcome??);
    }
    Ok(outcomes)
}

async fn loud(report: &mut Report) -> anyhow::Result<()> {
    let rates = [&[100.0][..], &[1.0; 9]].concat();
    let outcomes = against(&rates).await?;
    let (loud, quiet) = outcomes.split_first().unwrap_or_else(|| unreachable!("there are ten"));
    let refused: usize = quiet.iter().map(|it| it.refused).sum();
    let mut times: Vec<_> = quiet.iter().flat_map(|it| it.times.iter().copied()).collect();
    report.note(format!(
        "beside nine at 1 a second one at 100: {} answered, {} refused",
        loud.answered, loud.refused
    ));
    report.judge("gateway-quiet-tenants-refused", refused as f64, Bound::Exactly(0));
    report.judge("gateway-quiet-tenants-p99-ms", quantile(&mut times, 0.99), Bound::AtMost(200.0));
    Ok(())
}

async fn equals(report: &mut Report) -> anyhow::Result<()> {
    let outcomes = against(&[10.0; 10]).await?;
    let shares: Vec<_> = outcomes.iter().map(|it| it.answered as f64).collect();
    let (sum, squares) = (shares.iter().sum::<f64>(), shares.iter().map(|it| it * it).sum::<f64>());
    report.raw("gateway-equals-answered", &shares);
    report.judge(
        "gateway-jain-among-equals",
        sum * sum / (shares.len() as f64 * squares),
        Bound::AtLeast(0.98),
    );
    Ok(())
}
