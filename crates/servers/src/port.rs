//! Ports for servers that others must find again after they were killed.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::{Mutex, PoisonError};

/// Below those that the kernel gives to whoever connects (`net.ipv4.ip_local_port_range`, from 32768 on): no connection takes one of
/// these, also not between a server's end and its next start.
const PORTS: Range<u16> = 15_000..32_000;

/// The names of ports that this process has. The kernel keeps them until it ends, in whatever way.
static HELD: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// A free port of the loopback interface that no other process gets from here, for as long as this one lives.
///
/// # Panics
/// When all are taken.
#[must_use]
pub fn free_port() -> u16 {
    let count = u64::from(PORTS.end - PORTS.start);
    let begin = RandomState::new().build_hasher().finish() % count;
    let ports = (0..count).map(|n| PORTS.start + ((begin + n) % count) as u16);
    for port in ports {
        if let Some(name) = take(port) {
            let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
            held.push(name);
            return port;
        }
    }
    panic!("no port is free from {} to {}", PORTS.start, PORTS.end - 1);
}

fn take(port: u16) -> Option<UnixListener> {
    let name = SocketAddr::from_abstract_name(format!("mediaflow-port-{port}")).ok()?;
    let held = UnixListener::bind_addr(&name).ok()?;
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
    Some(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_and_stays_free() {
        let port = free_port();
        assert!(take(port).is_none(), "nobody else gets it");
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    }
}
