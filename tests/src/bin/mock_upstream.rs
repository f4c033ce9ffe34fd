//! The scripted upstream as a process: `mock-upstream [PORT]`, where 0 or nothing takes any port.

use std::io::Write as _;

use tidegate_tests::Mock;

fn main() {
    let port = std::env::args().nth(1).map_or(0, |port| port.parse().expect("usage: mock-upstream [PORT]"));
    let mock = Mock::start_on(port);
    println!("listening on {}", mock.addr());
    std::io::stdout().flush().expect("standard output");
    loop {
        std::thread::park();
    }
}
