//! The measurements: what is asked of a target, and the figures that come of it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::process::{cpu_time, resident_kib};
use crate::script::Script;
use crate::targets::Running;
use crate::work::{Question, Tally, Until, block_on, closed, hold, open, percentile};

/// Connections of closed loops over whole answers and bursts.
const CONNECTIONS: usize = 64;
/// Chunks of a stream.
const CHUNKS: usize = 100;
/// Chunks a second of one stream.
const CHUNK_RATE: u64 = 100;
/// Bytes of an answer's text.
const ANSWER: usize = 300;
/// Bytes of prompts, in turns: CPU per request is the mean of both.
const PROMPTS: [usize; 2] = [128, 1_024];
const WARM_UP: Duration = Duration::from_millis(500);
/// How long a target rests before its memory is read as idle.
const REST: Duration = Duration::from_secs(2);
/// How long after the load memory should have come back.
const RECOVERY: Duration = Duration::from_secs(60);

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// Start to first good answer, memory at rest, size of the program
    Start,
    /// Whole answers, 64 connections, prompts of 128 bytes and 1 KB
    Whole,
    /// Streams of 100 chunks, 2,700 chunks a second in all
    Slow,
    /// The same, 26,300 chunks a second
    Fast,
    /// Streams whose 100 chunks come at once, 64 connections
    Burst,
    /// Time to the end of a whole answer at 1,000 requests a second
    Latency,
    /// Time to the first chunk and to the first text at 300 chunks a second
    First,
    /// Memory of streams that wait
    Hold,
    /// The same, and memory 60 s after
    Recovery,
    /// Whole answers to bodies of 1 KB, 10 KB, 100 KB, 1 MB and 10 MB
    Sizes,
}

/// Figures by name.
pub(crate) type Figures = BTreeMap<String, f64>;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount {
    /// How long each measurement takes.
    pub(crate) time: Duration,
    /// Streams to hold.
    pub(crate) streams: usize,
}

/// Measures a target that has just started.
pub(crate) fn measure(work: Work, target: &Running, mock: SocketAddr, amount: Amount) -> io::Result<Figures> {
    let mut figures = Figures::new();
    match work {
        Work::Start => start(target, &mut figures)?,
        Work::Whole => {
            for prompt in PROMPTS {
                let question = target.question(Script::whole(ANSWER), prompt);
                whole(
                    target,
                    &question,
                    &format!("whole {prompt} B"),
                    CONNECTIONS,
                    amount.time / 2,
                    &mut figures,
                )?;
            }
        }
        Work::Slow => streams(target, 2_700, amount.time, &mut figures)?,
        Work::Fast => streams(target, 26_300, amount.time, &mut figures)?,
        Work::Burst => burst(target, amount.time, &mut figures)?,
        Work::Latency => {
            let question = target.question(Script::whole(ANSWER), PROMPTS[1]);
            let mut tally = rate(&question, 1_000, amount.time)?;
            figures.insert("latency p50 us".to_owned(), percentile(&mut tally.whole_us, 50));
            figures.insert("latency p99 us".to_owned(), percentile(&mut tally.whole_us, 99));
        }
        Work::First => {
            let script = Script { exact: true, ..Script::stream(30, CHUNK_RATE) };
            let question = target.question(script, PROMPTS[1]);
            let mut tally = rate(&question, 10, amount.time)?;
            figures.insert("first chunk p50 us".to_owned(), percentile(&mut tally.first_us, 50));
            figures.insert("first token p50 us".to_owned(), percentile(&mut tally.token_us, 50));
            figures.insert("first token p99 us".to_owned(), percentile(&mut tally.token_us, 99));
        }
        Work::Hold => held(target, mock, amount.streams, Duration::ZERO, &mut figures)?,
        Work::Recovery => held(target, mock, amount.streams, RECOVERY, &mut figures)?,
        Work::Sizes => {
            for (name, bytes, connections) in [
                ("1 KB", 1_000, 16),
                ("10 KB", 10_000, 16),
                ("100 KB", 100_000, 16),
                ("1 MB", 1_000_000, 4),
                ("10 MB", 10_000_000, 2),
            ] {
                let question = target.question(Script::whole(ANSWER), bytes);
                whole(
                    target,
                    &question,
                    &format!("body {name}"),
                    connections,
                    amount.time / 2,
                    &mut figures,
                )?;
            }
        }
    }
    Ok(figures)
}

/// Fails on the first wrong answer: what is wrong is not measured.
fn good(tally: Tally) -> io::Result<Tally> {
    match (&tally.failure, tally.failed) {
        (None, _) if tally.done > 0 => Ok(tally),
        (None, _) => Err(io::Error::other("no answers came")),
        (Some(failure), failed) => {
            Err(io::Error::other(format!("{failed} of {} answers failed: {failure}", tally.done + failed)))
        }
    }
}

/// A closed loop as it was between its beginning and its end.
struct Steady {
    /// Answers in that time; parts of them count as parts.
    answers: f64,
    /// How long it was, in seconds.
    seconds: f64,
    /// What it took of the target's processor, in microseconds.
    cpu_us: f64,
    tally: Tally,
}

/// Runs a closed loop and looks at the middle of it, when all connections are at work.
fn loaded(
    target: &Running,
    question: &Question,
    connections: usize,
    spread: Duration,
    time: Duration,
) -> io::Result<Steady> {
    let cpu = || target.id().map_or(Ok(Duration::ZERO), cpu_time);
    let begin = spread + WARM_UP;
    block_on(async {
        let asked = question.clone();
        let load = tokio::task::spawn_local(async move {
            closed(&asked, connections, spread, Until::Time(begin + time)).await
        });
        tokio::time::sleep(begin).await;
        let (cpu_before, seen_before, started) = (cpu()?, question.seen.get(), Instant::now());
        tokio::time::sleep(time).await;
        let (cpu_after, seen_after, took) = (cpu()?, question.seen.get(), started.elapsed());
        let tally = good(load.await.map_err(io::Error::other)?)?;
        if seen_after == seen_before {
            return Err(io::Error::other("no answer came in the middle of the run; raise --seconds"));
        }
        Ok(Steady {
            answers: (seen_after - seen_before) as f64 / question.verifier().length() as f64,
            seconds: took.as_secs_f64(),
            cpu_us: (cpu_after - cpu_before).as_secs_f64() * 1e6,
            tally,
        })
    })
}

fn whole(
    target: &Running,
    question: &Question,
    name: &str,
    connections: usize,
    time: Duration,
    figures: &mut Figures,
) -> io::Result<()> {
    let mut steady = loaded(target, question, connections, Duration::ZERO, time)?;
    figures.insert(format!("{name} cpu us"), steady.cpu_us / steady.answers);
    figures.insert(format!("{name} per s"), steady.answers / steady.seconds);
    figures.insert(format!("{name} p50 us"), percentile(&mut steady.tally.whole_us, 50));
    figures.insert(format!("{name} p99 us"), percentile(&mut steady.tally.whole_us, 99));
    Ok(())
}

/// Streams that go on at their own pace; so many at once that their chunks make the rate.
fn streams(target: &Running, rate: u64, time: Duration, figures: &mut Figures) -> io::Result<()> {
    let question = target.question(Script::stream(CHUNKS, CHUNK_RATE), PROMPTS[0]);
    let connections = (rate / CHUNK_RATE) as usize;
    let spread = Duration::from_secs(CHUNKS as u64 / CHUNK_RATE);
    let mut steady = loaded(target, &question, connections, spread, time)?;
    let chunks = steady.answers * CHUNKS as f64;
    figures.insert(format!("chunk at {rate} cpu us"), steady.cpu_us / chunks);
    figures.insert(format!("chunks at {rate} per s"), chunks / steady.seconds);
    figures.insert(format!("chunk at {rate} token p50 us"), percentile(&mut steady.tally.token_us, 50));
    Ok(())
}

fn burst(target: &Running, time: Duration, figures: &mut Figures) -> io::Result<()> {
    let question = target.question(Script::stream(CHUNKS, 0), PROMPTS[0]);
    let mut steady = loaded(target, &question, CONNECTIONS, Duration::ZERO, time)?;
    figures.insert("burst cpu us".to_owned(), steady.cpu_us / steady.answers);
    figures.insert("burst per s".to_owned(), steady.answers / steady.seconds);
    figures.insert("burst p50 us".to_owned(), percentile(&mut steady.tally.whole_us, 50));
    Ok(())
}

fn rate(question: &Question, rate: u64, time: Duration) -> io::Result<Tally> {
    let run = |time| block_on(async { Ok(open(question, rate, time).await) });
    good(run(WARM_UP)?)?;
    good(run(time)?)
}

fn start(target: &Running, figures: &mut Figures) -> io::Result<()> {
    let Some(id) = target.id() else { return Ok(()) };
    std::thread::sleep(REST);
    figures.insert("start ms".to_owned(), target.started.as_secs_f64() * 1e3);
    figures.insert("idle MiB".to_owned(), resident_kib(id)? / 1024.0);
    figures.insert("program MB".to_owned(), target.size as f64 / 1e6);
    Ok(())
}

fn held(
    target: &Running,
    mock: SocketAddr,
    count: usize,
    recovery: Duration,
    figures: &mut Figures,
) -> io::Result<()> {
    let Some(id) = target.id() else { return Ok(()) };
    std::thread::sleep(REST);
    let idle = resident_kib(id)?;
    let question = target.question(Script { hold: 10, ..Script::stream(20, 0) }, PROMPTS[1]);
    let full = block_on(async {
        let held = hold(&question, count).await;
        let opened = held.count();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let full = resident_kib(id)?;
        release(mock).await?;
        let tally = good(held.finish().await)?;
        if opened < count || tally.done < count as u64 {
            return Err(io::Error::other(format!(
                "{opened} of {count} streams were held, {} ended well",
                tally.done
            )));
        }
        Ok(full)
    })?;
    figures.insert("held stream KiB".to_owned(), (full - idle) / count as f64);
    figures.insert("held MiB".to_owned(), full / 1024.0);
    if !recovery.is_zero() {
        let ended = Instant::now();
        std::thread::sleep(recovery.saturating_sub(ended.elapsed()));
        let after = resident_kib(id)?;
        figures.insert("after MiB".to_owned(), after / 1024.0);
        figures.insert("after / idle".to_owned(), after / idle);
    }
    Ok(())
}

async fn release(mock: SocketAddr) -> io::Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(mock).await?;
    stream.write_all(b"GET /release HTTP/1.1\r\nconnection: close\r\n\r\n").await?;
    stream.read_to_end(&mut Vec::new()).await?;
    Ok(())
}
