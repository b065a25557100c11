//! Connections of real sockets between two requests, let go as Pingora lets them go.

use std::net::SocketAddr;

use pingora::connectors::TransportConnector;
use pingora::protocols::l4::stream::Stream as Plain;
use pingora::protocols::{GetProxyDigest, Stream, UniqueID};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::link::Link;
use super::super::wire::Wire;
use super::*;

/// A connection, and its server's end.
async fn connection() -> (Stream, TcpStream) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = TcpListener::bind(any).await.unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await;
    let (theirs, _) = listener.accept().await.unwrap();
    (Box::new(Plain::from(ours.unwrap())), theirs)
}

/// A wire that a request has, and its server's end.
async fn wire(shelf: &Arc<Shelf>) -> (Wire, TcpStream) {
    let (ours, theirs) = connection().await;
    (Wire::new(ours, Some(shelf.clone())).unwrap(), theirs)
}

/// What Pingora does with a connection when the answer is over.
fn let_go(wire: Wire) {
    TransportConnector::new(None).release_stream(Box::new(wire), 7, Some(IDLE));
}

fn unused(shelf: &Shelf) -> usize {
    shelf.piles.iter().map(|pile| pile.lock().len()).sum()
}

fn age(shelf: &Shelf, by: Duration) {
    for pile in &shelf.piles {
        for unused in pile.lock().iter_mut() {
            unused.since -= by.as_millis() as u64;
        }
    }
}

#[tokio::test]
async fn what_pingora_would_keep_goes_to_the_shelf_and_from_there_to_the_next() {
    let shelf = Shelves::new(1, 10).of(1);
    let (mut first, mut theirs) = wire(&shelf).await;
    let digest = first.get_proxy_digest().unwrap();
    let link = digest.user_data.as_ref().unwrap();
    let link = link.downcast_ref::<Arc<Link>>().unwrap();
    assert!(!link.is_reused());
    first.write_all(b"a").await.unwrap();
    assert_eq!(theirs.read_u8().await.unwrap(), b'a');
    theirs.write_all(b"b").await.unwrap();
    assert_eq!(first.read_u8().await.unwrap(), b'b');
    let id = first.id();
    let_go(first);
    assert_eq!(unused(&shelf), 1);

    let mut second = Wire::again(shelf.take().unwrap(), shelf.clone());
    assert_eq!(second.id(), id);
    assert!(link.is_reused());
    assert!(shelf.take().is_none(), "it is in use");
    theirs.write_all(b"c").await.unwrap();
    assert_eq!(second.read_u8().await.unwrap(), b'c');
    let_go(second);
    assert_eq!(unused(&shelf), 1);
}

#[tokio::test]
async fn what_breaks_off_is_not_kept() {
    let shelf = Shelves::new(1, 10).of(1);
    let (broken, mut theirs) = wire(&shelf).await;
    drop(broken);
    assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0);

    // A read of one byte by somebody who waits for it is no question.
    let (mut waiting, _theirs) = wire(&shelf).await;
    let read = tokio::time::timeout(Duration::from_millis(20), waiting.read_u8());
    assert!(read.await.is_err());
    drop(waiting);

    let (closed, theirs) = wire(&shelf).await;
    drop(theirs);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let_go(closed);

    let (talkative, mut theirs) = wire(&shelf).await;
    theirs.write_all(b"more than was asked for").await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let_go(talkative);
    assert_eq!(unused(&shelf), 0);
}

#[tokio::test]
async fn a_connection_without_a_shelf_is_pingoras() {
    let (ours, mut theirs) = connection().await;
    let pool = TransportConnector::new(None);
    pool.release_stream(Box::new(Wire::new(ours, None).unwrap()), 7, None);
    // Its pool has it, and it stays open.
    let end = tokio::time::timeout(Duration::from_millis(20), theirs.read_u8());
    assert!(end.await.is_err());
}

#[tokio::test]
async fn one_that_the_server_has_closed_is_passed_over() {
    let shelf = Shelves::new(1, 10).of(1);
    let (older, _stands) = wire(&shelf).await;
    let id = older.id();
    let_go(older);
    let (newer, closes) = wire(&shelf).await;
    let_go(newer);
    drop(closes);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let taken = Wire::again(shelf.take().unwrap(), shelf.clone());
    assert_eq!(taken.id(), id);
    assert_eq!(unused(&shelf), 0);
    assert_eq!(shelf.room.unused.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_request_lets_go_of_some_closed_ones_and_not_of_all() {
    let shelf = Shelves::new(1, 100).of(1);
    for _ in 0..20 {
        let (closed, _theirs) = wire(&shelf).await;
        let_go(closed);
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(shelf.take().is_none());
    assert_eq!(unused(&shelf), 20 - MOST_CLOSED as usize);
}

#[tokio::test]
async fn one_that_was_unused_for_long_is_neither_given_nor_left_there() {
    let shelf = Shelves::new(1, 10).of(1);
    let (old, mut theirs) = wire(&shelf).await;
    let_go(old);
    age(&shelf, IDLE);
    assert!(shelf.take().is_none());

    let (old, mut swept) = wire(&shelf).await;
    let_go(old);
    age(&shelf, IDLE);
    let (young, _stands) = wire(&shelf).await;
    let_go(young);
    shelf.sweep(now());
    assert_eq!(unused(&shelf), 1);
    assert_eq!(shelf.room.unused.load(Ordering::Relaxed), 1);
    for end in [&mut theirs, &mut swept] {
        assert_eq!(end.read(&mut [0]).await.unwrap(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_takes_is_swept_away() {
    let shelves = Shelves::new(1, 10);
    let shelf = shelves.of(1);
    let (old, mut theirs) = wire(&shelf).await;
    let_go(old);
    age(&shelf, IDLE);
    tokio::select! {
        () = shelves.sweep() => {}
        end = theirs.read_u8() => assert!(end.is_err()),
    }
}

#[tokio::test]
async fn there_are_never_more_than_there_is_room_for() {
    let shelves = Shelves::new(1, 2);
    let mut ends = Vec::new();
    for server in 0..3 {
        let (wire, theirs) = wire(&shelves.of(server)).await;
        let_go(wire);
        ends.push(theirs);
    }
    let kept = |server| unused(&shelves.of(server));
    assert_eq!([0, 1, 2].map(kept), [1, 1, 0]);
    assert!(shelves.of(0).take().is_some());
    let (wire, _theirs) = wire(&shelves.of(2)).await;
    let_go(wire);
    assert_eq!(kept(2), 1);
}

#[tokio::test]
async fn nobody_waits_for_a_pile_that_is_taken() {
    let shelf = Shelves::new(2, 10).of(1);
    let taken: Vec<_> = shelf.piles.iter().map(|pile| pile.lock()).collect();
    let (lost, mut theirs) = wire(&shelf).await;
    let_go(lost);
    assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0);
    assert!(shelf.take().is_none());
    drop(taken);

    // What another worker has put there is found.
    let (wire, _theirs) = wire(&shelf).await;
    let id = wire.id();
    tokio::task::spawn_blocking(|| let_go(wire)).await.unwrap();
    let taken = Wire::again(shelf.take().unwrap(), shelf.clone());
    assert_eq!(taken.id(), id);
}

#[tokio::test]
async fn servers_to_which_there_is_no_connection_are_forgotten() {
    let shelves = Shelves::new(1, 10);
    let (in_use, _theirs) = wire(&shelves.of(1)).await;
    let (kept, _its) = wire(&shelves.of(2)).await;
    let_go(kept);
    drop(shelves.of(3));
    shelves.tidy();
    let known: Vec<_> = shelves.shelves.load().keys().copied().collect();
    assert_eq!(known, [1, 2]);
    drop(in_use);
    shelves.tidy();
    let known: Vec<_> = shelves.shelves.load().keys().copied().collect();
    assert_eq!(known, [2]);
}
