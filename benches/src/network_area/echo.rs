//! From a key to its echo, over the API's console stream and by socat at QEMU's own socket, of a guest
//! that does nothing but echo.

use crate::{
    bench::Bench,
    figure::{Figure, Measured},
    measure::statistics::{median, ms, quantile, spread},
    report,
    rig::{
        daemon::{Daemon, State},
        guest::{UP_WITHIN, echoes},
        terminal::Terminal,
    },
};
use std::{thread, time::Duration};

/// From one key to the next.
const EVERY: Duration = Duration::from_millis(5);

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let state = State::new(bench)?;
    let daemon = Daemon::start(&state)?;
    let mut api = daemon.api()?;
    let id = api.create(&echoes("echo", &state.files())?)?;
    api.power(id, "start")?;
    let serial = state.path().join("run/vms").join(id.to_string()).join("serial.sock");
    let (mut inns, mut socats) = (Vec::new(), Vec::new());
    let keys = bench.rounds(100, 10);
    for _ in 0..bench.rounds(7, 1) {
        // One after the other: QEMU lets one at its socket.
        type_keys(Terminal::by_socat(&serial)?, keys, &mut socats)?;
        type_keys(Terminal::over_api(&state.socket(), id, "write")?, keys, &mut inns)?;
    }
    report::progress(format_args!("  API {}, socat {}", spread(&mut inns), spread(&mut socats)));
    let name = "console, key to echo, beside socat";
    let p99 = Measured::new("the same, p99", ms(quantile(&mut inns, 0.99)), "ms");
    Ok(vec![
        Measured::new(name, ms(median(&mut inns)), "ms")
            .beside(ms(median(&mut socats)))
            .at_most_more(2.0),
        p99.beside(ms(quantile(&mut socats, 0.99))).for_information(),
    ])
}

fn type_keys(mut terminal: Terminal, keys: usize, times: &mut Vec<Duration>) -> anyhow::Result<()> {
    // The first waits until the guest is up and the line is open; what was written before comes with it.
    terminal.echo(b'A', UP_WITHIN)?;
    // A guest that has just come up has other things to do, which are not measured here.
    thread::sleep(EVERY * 20);
    terminal.forget()?;
    for key in 0..keys {
        // Another one each time, so that none is taken for a late one.
        times.push(terminal.echo(b'a' + (key % 26) as u8, UP_WITHIN)?);
        // A person types with pauses; the pace is part of the row.
        thread::sleep(EVERY);
    }
    Ok(())
}
