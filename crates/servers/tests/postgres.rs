//! Servers start, are reached, and are gone with their value.

use mediaflow_servers::Postgres;
use std::net::TcpStream;

fn address(url: &str) -> &str {
    let (_, rest) = url.split_once('@').expect("the address names a user");
    rest.split_once('/').expect("and a database").0
}

#[test]
fn a_cluster_lives_as_long_as_its_value_and_survives_a_kill() {
    let postgres = Postgres::start(&[]);
    let url = postgres.database("one");
    TcpStream::connect(address(&url)).unwrap();

    postgres.server().signal("KILL").unwrap();
    let postgres = postgres.restarted(&["max_connections=20"]);
    let url = postgres.database("one");
    let stream = TcpStream::connect(address(&url)).unwrap();
    drop(stream);

    let folder = postgres.server().folder().to_path_buf();
    drop(postgres);
    assert!(TcpStream::connect(address(&url)).is_err());
    assert!(!folder.exists());
}
