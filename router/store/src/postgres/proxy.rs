//! A way to the server on which things go wrong.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Trouble {
    /// Nothing.
    None,
    /// The next commit reaches the server, its answer is lost with the connection.
    AnswerLost,
    /// The next commit is lost with the connection.
    CommitLost,
    /// As `AnswerLost`, and then nobody gets through.
    AnswerLostThenAway,
    /// As `CommitLost`, and then nobody gets through.
    CommitLostThenAway,
    /// Nobody gets through.
    Away,
    /// Connections stay and nothing comes over them.
    Frozen,
}

const ALL: [Trouble; 7] = [
    Trouble::None,
    Trouble::AnswerLost,
    Trouble::CommitLost,
    Trouble::AnswerLostThenAway,
    Trouble::CommitLostThenAway,
    Trouble::Away,
    Trouble::Frozen,
];

struct State {
    trouble: AtomicU8,
    open: Mutex<Vec<TcpStream>>,
    server: u16,
}

impl State {
    fn trouble(&self) -> Trouble {
        ALL[usize::from(self.trouble.load(Ordering::SeqCst))]
    }

    fn set(&self, trouble: Trouble) {
        self.trouble.store(trouble as u8, Ordering::SeqCst);
    }

    /// Begins a trouble and takes the connections there are: one that is made later is not among them.
    fn begin(&self, trouble: Trouble) -> Vec<TcpStream> {
        let mut open = self.open.lock().unwrap();
        self.set(trouble);
        std::mem::take(&mut *open)
    }
}

fn cut(open: Vec<TcpStream>) {
    for stream in open {
        // It may be closed already.
        drop(stream.shutdown(Shutdown::Both));
    }
}

/// A proxy before a server; it ends with the process.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<State>,
}

impl Proxy {
    pub(crate) fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State { trouble: AtomicU8::new(0), open: Mutex::default(), server });
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                serve(client.unwrap(), &shared);
            }
        });
        Self { port, state }
    }

    pub(crate) fn have(&self, trouble: Trouble) {
        if trouble == Trouble::Away {
            cut(self.state.begin(trouble));
        } else {
            self.state.set(trouble);
        }
    }

    pub(crate) fn trouble(&self) -> Trouble {
        self.state.trouble()
    }
}

fn serve(client: TcpStream, state: &Arc<State>) {
    let server = TcpStream::connect(("127.0.0.1", state.server)).unwrap();
    let mut open = state.open.lock().unwrap();
    if state.trouble() == Trouble::Away {
        return;
    }
    open.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
    drop(open);
    for (from, to, up) in
        [(client.try_clone().unwrap(), server.try_clone().unwrap(), true), (server, client, false)]
    {
        let state = state.clone();
        thread::spawn(move || forward(from, to, up, &state));
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, up: bool, state: &State) {
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        while state.trouble() == Trouble::Frozen {
            thread::sleep(Duration::from_millis(5));
        }
        let trouble = state.trouble();
        let commit = up && buffer[..count].windows(7).any(|part| part == b"COMMIT\0");
        if commit && trouble != Trouble::None {
            let away = matches!(trouble, Trouble::AnswerLostThenAway | Trouble::CommitLostThenAway);
            // Before the client can notice anything and connect again.
            let open = state.begin(if away { Trouble::Away } else { Trouble::None });
            if matches!(trouble, Trouble::AnswerLost | Trouble::AnswerLostThenAway) {
                // The client's side first, so that no answer gets through.
                from.shutdown(Shutdown::Both).unwrap();
                to.write_all(&buffer[..count]).unwrap();
            }
            cut(open);
            return;
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // Either end closed: so does the other.
    drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
}
