//! The body of an answer, read up to a bound: nobody on the other side, nor between, can fill our memory.

/// Most bytes of an answer that are read. A listing of a hundred messages has some hundred thousand.
pub(crate) const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// It is longer than the bound. The connection is closed.
    #[error("the answer has more than {0} bytes")]
    TooLong(usize),
    /// It broke off.
    #[error(transparent)]
    Cut(#[from] reqwest::Error),
}

/// Reads an answer's body of at most `most` bytes.
pub(crate) async fn text(mut answer: reqwest::Response, most: usize) -> Result<String, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > most {
            return Err(BodyError::TooLong(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8(body).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        thread,
    };

    use super::*;

    /// A server that answers one request with this many bytes, or as many as are taken.
    fn answering(bytes: usize) -> std::io::Result<(String, thread::JoinHandle<()>)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}/", listener.local_addr()?);
        let server = thread::spawn(move || {
            let Ok((mut peer, _)) = listener.accept() else { return };
            let _head = peer.read(&mut [0; 4096]);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n");
            let mut written = 0;
            if peer.write_all(head.as_bytes()).is_ok() {
                while written < bytes && peer.write_all(&[b'x'; 1024]).is_ok() {
                    written += 1024;
                }
            }
        });
        Ok((url, server))
    }

    #[tokio::test]
    async fn an_answer_is_read_to_its_bound_and_no_further() -> Result<(), Box<dyn std::error::Error>> {
        let (url, _server) = answering(10 * 1024)?;
        assert_eq!(text(reqwest::get(url).await?, MAX_ANSWER).await?.len(), 10 * 1024);
        let (url, _server) = answering(600 * 1024 * 1024)?;
        let read = text(reqwest::get(url).await?, MAX_ANSWER).await;
        assert!(matches!(read, Err(BodyError::TooLong(MAX_ANSWER))), "{read:?}");
        Ok(())
    }
}
