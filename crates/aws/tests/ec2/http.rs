//! What the servers of these trials have in common: they listen, and read one request of each connection.

use std::future::Future;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
};

#[derive(Debug, Clone)]
pub struct Request {
    /// `POST / HTTP/1.1` and the headers.
    pub head: String,
    pub body: String,
}

/// Where it listens. Every connection is served by itself.
pub async fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream));
        }
    });
    endpoint
}
/// None where the client has gone away.
pub async fn read(stream: &mut TcpStream) -> Option<Request> {
    let (mut text, mut buffer) = (String::new(), [0; 8192]);
    loop {
        let n = stream.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        text.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().parse().unwrap())).unwrap_or(0);
        if body.len() >= length {
            return Some(Request { head: head.to_owned(), body: body.to_owned() });
        }
    }
}
