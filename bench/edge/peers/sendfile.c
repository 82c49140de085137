// The ceiling of `npm run bench:edge`: one thread, epoll, recv, sendfile(2) from tmpfs. Serves the files of a folder that it opens at
// first sight and keeps open; up to 64 KiB header and body leave in one send. It checks nothing and must never meet a network.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_FILES = 64, MOST_FDS = 20000, SMALL = 65536, REQUEST = 4096 };

struct file { char path[256]; int fd; off_t length; char *head; size_t head_length; };
struct connection { struct file *sending; off_t at; size_t head_at; char request[REQUEST]; size_t length; };

static struct file files[MOST_FILES];
static int file_count;
static struct connection connections[MOST_FDS];
static const char *folder;

static struct file *find(const char *path, size_t length) {
  for (int i = 0; i < file_count; i++)
    if (strlen(files[i].path) == length && memcmp(files[i].path, path, length) == 0) return &files[i];
  if (file_count == MOST_FILES || length >= sizeof files[0].path) return NULL;
  char name[1024];
  snprintf(name, sizeof name, "%s%.*s", folder, (int)length, path);
  struct stat st;
  int fd = open(name, O_RDONLY);
  if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) { if (fd >= 0) close(fd); return NULL; }
  struct file *file = &files[file_count++];
  memcpy(file->path, path, length);
  file->fd = fd;
  file->length = st.st_size;
  file->head = malloc(512 + (st.st_size <= SMALL ? (size_t)st.st_size : 0));
  if (file->head == NULL) exit(1);
  file->head_length = (size_t)sprintf(file->head,
    "HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: %lld\r\nCache-Control: public, max-age=3600\r\n\r\n",
    (long long)st.st_size);
  if (st.st_size <= SMALL) {
    if (pread(fd, file->head + file->head_length, (size_t)st.st_size, 0) != st.st_size) exit(1);
    file->head_length += (size_t)st.st_size;
  }
  return file;
}

// Returns 1 when the answer has left, 0 when the socket is full, -1 when the connection is gone.
static int push(int fd, struct connection *c) {
  struct file *file = c->sending;
  int rest = file->length > SMALL;
  while (c->head_at < file->head_length) {
    ssize_t sent = send(fd, file->head + c->head_at, file->head_length - c->head_at, MSG_NOSIGNAL | (rest ? MSG_MORE : 0));
    if (sent < 0) return errno == EAGAIN ? 0 : -1;
    c->head_at += (size_t)sent;
  }
  while (rest && c->at < file->length) {
    ssize_t sent = sendfile(fd, file->fd, &c->at, (size_t)(file->length - c->at));
    if (sent <= 0) return sent < 0 && errno == EAGAIN ? 0 : -1;
  }
  c->sending = NULL;
  return 1;
}

static int answer(int fd, struct connection *c) {
  for (;;) {
    if (c->sending != NULL) {
      int pushed = push(fd, c);
      if (pushed < 1) return pushed;
    }
    char *end = memmem(c->request, c->length, "\r\n\r\n", 4);
    if (end != NULL) {
      char *path = c->request + 4, *space = memchr(path, ' ', (size_t)(end - path));
      if (c->length < 6 || memcmp(c->request, "GET ", 4) != 0 || space == NULL) return -1;
      struct file *file = find(path, (size_t)(space - path));
      size_t used = (size_t)(end + 4 - c->request);
      memmove(c->request, c->request + used, c->length - used);
      c->length -= used;
      if (file == NULL) {
        static const char missing[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        if (send(fd, missing, sizeof missing - 1, MSG_NOSIGNAL) < 0) return -1;
        continue;
      }
      c->sending = file;
      c->at = 0;
      c->head_at = 0;
      continue;
    }
    if (c->length == REQUEST) return -1;
    ssize_t got = recv(fd, c->request + c->length, REQUEST - c->length, 0);
    if (got == 0) return -1;
    if (got < 0) return errno == EAGAIN ? 0 : -1;
    c->length += (size_t)got;
  }
}

int main(int count, char **words) {
  if (count != 3) return 2;
  folder = words[2];
  // send() can be told not to raise it, sendfile() cannot.
  signal(SIGPIPE, SIG_IGN);
  int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0);
  struct sockaddr_in place = { .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(words[1])) };
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&place, sizeof place) != 0 || listen(listener, 4096) != 0) return 1;
  struct epoll_event event = { .events = EPOLLIN, .data.fd = listener }, ready[512];
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int n = epoll_wait(poll, ready, 512, -1);
    for (int i = 0; i < n; i++) {
      int fd = ready[i].data.fd;
      if (fd == listener) {
        while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
          if (fd >= MOST_FDS) { close(fd); continue; }
          setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
          memset(&connections[fd], 0, sizeof connections[fd]);
          event = (struct epoll_event){ .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = fd };
          epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
        }
        continue;
      }
      if (answer(fd, &connections[fd]) < 0) close(fd);
    }
  }
}
