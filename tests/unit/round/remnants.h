/* A child process works with secrets and tells them to this one through a pipe; this one reads all of the child's
 * memory and looks for them: they must be there while keys live, and nowhere once everything was freed.
 *
 * A *needle* is a string of secret bytes. The child writes it from where it lies, so that telling makes no copy.
 */
#ifndef TEST_ROUND_REMNANTS_H
#define TEST_ROUND_REMNANTS_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { NAME_BYTES = 24, BUCKET_BITS = 22, FOUND_MAX = 40 };

/** What goes through the pipe: a needle, public bytes that are no secret after all, or a request to search. */
typedef enum told { TOLD_SECRET = 1, TOLD_PUBLIC, TOLD_ALIVE, TOLD_FREED } told;

typedef struct telling {
    uint32_t what, window; /* bytes that make a find */
    uint64_t length;
    char name[NAME_BYTES];
} telling;

/* --- the child's side --- */

static int tell_fd = -1, answer_fd = -1;

static void tell_all(const void *bytes, size_t length) {
    const uint8_t *at = bytes;
    while (length > 0) {
        ssize_t n = write(tell_fd, at, length);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) _exit(3);
        at += n;
        length -= (size_t)n;
    }
}

/** Windows of so many bytes: enough entropy that none is found by chance. */
static void tell(told what, const char *name, const void *bytes, size_t length, uint32_t window) {
    if (tell_fd < 0) return;
    telling t = {.what = what, .window = window, .length = length};
    strncpy(t.name, name, NAME_BYTES - 1);
    tell_all(&t, sizeof t);
    tell_all(bytes, length);
}

static void search_now(told when) {
    uint8_t answer;
    tell(when, "", NULL, 0, 0);
    if (read(answer_fd, &answer, 1) != 1) _exit(4);
}

/* --- the searching side --- */

typedef struct needle {
    struct needle *next;
    char name[NAME_BYTES];
    uint32_t window;
    bool public, found_alive;
    size_t length;
    uint8_t *bytes;
} needle;

typedef struct entry {
    uint64_t head; /* of the first 16 bytes of the window */
    const needle *of;
    uint32_t offset;
    uint32_t next; /* index + 1 */
} entry;

typedef struct haystack {
    needle *needles;
    entry *entries;
    uint32_t *buckets; /* 2^BUCKET_BITS, index + 1 */
    size_t n_entries, capacity;
} haystack;

static uint32_t bucket_of(uint64_t head) {
    return (uint32_t)(head * UINT64_C(0x9e3779b97f4a7c15) >> (64 - BUCKET_BITS));
}

static uint64_t head_of(const uint8_t *bytes) {
    uint64_t head[2];
    memcpy(head, bytes, sizeof head);
    return head[0] ^ head[1] * UINT64_C(0xbf58476d1ce4e5b9);
}

static const entry *look_up(const haystack *h, const uint8_t *at, size_t left, bool public) {
    uint64_t head = head_of(at);
    for (uint32_t i = h->buckets[bucket_of(head)]; i != 0; i = h->entries[i - 1].next) {
        const entry *e = &h->entries[i - 1];
        if (e->head == head && e->of->public == public && e->of->window <= left &&
            memcmp(e->of->bytes + e->offset, at, e->of->window) == 0)
            return e;
    }
    return NULL;
}

/** Too few different bytes at its beginning to be anybody's. */
static bool dull(const uint8_t *window) {
    uint32_t different = 0;
    for (uint32_t i = 0; i < 16; i++)
        different += memchr(window, window[i], i) == NULL;
    return different < 4;
}

static void index_needle(haystack *h, const needle *n) {
    for (size_t at = 0; at + n->window <= n->length; at++) {
        const uint8_t *window = n->bytes + at;
        if (dull(window) || look_up(h, window, n->window, n->public) != NULL) continue;
        if (h->n_entries == h->capacity) {
            h->capacity = h->capacity == 0 ? 1 << 16 : 2 * h->capacity;
            h->entries = realloc(h->entries, h->capacity * sizeof *h->entries);
            assert_non_null(h->entries);
        }
        uint32_t *bucket = &h->buckets[bucket_of(head_of(window))];
        h->entries[h->n_entries] = (entry){head_of(window), n, (uint32_t)at, *bucket};
        *bucket = (uint32_t)++h->n_entries;
    }
}

static void take_needle(haystack *h, const char *name, const void *bytes, size_t length, uint32_t window, bool public) {
    needle *n = calloc(1, sizeof *n);
    assert_non_null(n);
    snprintf(n->name, sizeof n->name, "%s", name);
    n->window = window;
    n->length = length;
    n->public = public;
    n->bytes = malloc(length + 1);
    assert_non_null(n->bytes);
    memcpy(n->bytes, bytes, length);
    n->next = h->needles;
    h->needles = n;
    index_needle(h, n);
}

/** Number of places in the process where a needle is. Before the end, finds are only noted. */
static size_t search(haystack *h, pid_t child, bool freed) {
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)child);
    FILE *maps = fopen(path, "r");
    snprintf(path, sizeof path, "/proc/%d/mem", (int)child);
    int memory = open(path, O_RDONLY);
    assert_non_null(maps);
    assert_true(memory >= 0);
    size_t finds = 0, searched = 0;
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long from, to;
        char rights[8], where[256] = "";
        if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255[^\n]", &from, &to, rights, where) < 3) continue;
        if (rights[0] != 'r' || strstr(where, "[v") != NULL) continue;
        if (rights[1] != 'w' && strchr(where, '/') != NULL) continue; /* pages of a file that nobody could write to */
        size_t length = to - from;
        uint8_t *copy = malloc(length);
        assert_non_null(copy);
        ssize_t got = pread(memory, copy, length, (off_t)from);
        size_t last = SIZE_MAX - 1; /* a run of windows is one find */
        for (size_t at = 0; got > 0 && at + 16 <= (size_t)got; at++) {
            if (h->buckets[bucket_of(head_of(copy + at))] == 0) continue;
            const entry *e = look_up(h, copy + at, (size_t)got - at, false);
            if (e == NULL || look_up(h, copy + at, (size_t)got - at, true) != NULL) continue;
            if (!freed) ((needle *)(uintptr_t)e->of)->found_alive = true;
            bool goes_on = at == last + 1;
            last = at;
            if (freed && !goes_on && finds++ < FOUND_MAX) {
                print_message("    %s, byte %u of %zu, is at %lx+%lx in %s\n", e->of->name, e->offset, e->of->length,
                              from, (unsigned long)at, where[0] != 0 ? where : "memory of no name");
            }
        }
        searched += got > 0 ? (size_t)got : 0;
        free(copy);
    }
    fclose(maps);
    close(memory);
    assert_true(searched > 100000); /* heap, stack and data of the libraries are more than that */
    return finds;
}

static bool read_all(int fd, void *out, size_t length) {
    uint8_t *at = out;
    while (length > 0) {
        ssize_t n = read(fd, at, length);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        at += n;
        length -= (size_t)n;
    }
    return true;
}

/** `more` derives further needles from one (other representations of the same secret). */
typedef void (*derive_needles)(haystack *h, const char *name, const uint8_t *bytes, size_t length);

/** Run `child`, search when it asks, and hold the finds against `alive`: names that must be found before the end. */
static void expect_no_remnants(void (*child)(void), const char *const *alive, derive_needles more) {
    int tells[2], answers[2], status;
    assert_int_equal(pipe(tells), 0);
    assert_int_equal(pipe(answers), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        tell_fd = tells[1];
        answer_fd = answers[0];
        close(tells[0]);
        close(answers[1]);
        child();
        _exit(0);
    }
    close(tells[1]);
    close(answers[0]);
    haystack h = {.buckets = calloc((size_t)1 << BUCKET_BITS, sizeof(uint32_t))};
    assert_non_null(h.buckets);
    telling t;
    size_t n_needles = 0, finds = 0, searches = 0;
    while (read_all(tells[0], &t, sizeof t)) {
        uint8_t *bytes = malloc(t.length + 1);
        assert_non_null(bytes);
        assert_true(read_all(tells[0], bytes, t.length));
        if (t.what == TOLD_SECRET || t.what == TOLD_PUBLIC) {
            take_needle(&h, t.name, bytes, t.length, t.window, t.what == TOLD_PUBLIC);
            if (t.what == TOLD_SECRET && more != NULL) more(&h, t.name, bytes, t.length);
            n_needles++;
        } else {
            finds += search(&h, pid, t.what == TOLD_FREED);
            searches++;
            assert_int_equal(write(answers[1], "", 1), 1);
        }
        free(bytes);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_msg("the child ended with status %x", (unsigned)status);
    assert_true(searches >= 2);
    for (; *alive != NULL; alive++) {
        bool found = false;
        for (const needle *n = h.needles; n != NULL; n = n->next)
            found |= n->found_alive && strcmp(n->name, *alive) == 0;
        if (!found) fail_msg("no \"%s\" was found while it was alive: the search is blind", *alive);
    }
    print_message("    %zu secrets, %zu windows\n", n_needles, h.n_entries);
    if (finds > 0) fail_msg("%zu places still hold secrets after everything was freed", finds);
    while (h.needles != NULL) {
        needle *n = h.needles;
        h.needles = n->next;
        free(n->bytes);
        free(n);
    }
    free(h.entries);
    free(h.buckets);
    close(tells[0]);
    close(answers[1]);
}

#endif
