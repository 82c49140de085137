# Varnish before the bench's origins: the key is the address, stale while it is fetched anew, another origin where one fails.
vcl 4.1;
import directors;
import std;
{{backends}}
sub vcl_init {
  new origins = directors.round_robin();
  {{add}}
}
sub vcl_recv {
  set req.backend_hint = origins.backend();
  return (hash);
}
sub vcl_hash {
  hash_data(req.url);
  return (lookup);
}
sub vcl_backend_response {
  set beresp.grace = 6s;
  if (beresp.status >= 500 && bereq.retries < 2) {
    return (retry);
  }
  return (deliver);
}
sub vcl_backend_error {
  if (bereq.retries < 2) {
    return (retry);
  }
}
