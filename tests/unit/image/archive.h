/* Zip archives and NumPy arrays written byte by byte, so that every field can be made to lie. */
#ifndef TEST_ARCHIVE_H
#define TEST_ARCHIVE_H

#include "crc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct archive {
    uint8_t at[1 << 16];
    size_t n;
    struct {
        char name[32];
        uint32_t crc, packed, size, offset;
        uint16_t method;
    } entries[16];
    size_t n_entries;
} archive;

static inline void put16(archive *a, uint16_t v) {
    a->at[a->n++] = (uint8_t)v;
    a->at[a->n++] = (uint8_t)(v >> 8);
}

static inline void put32(archive *a, uint32_t v) {
    put16(a, (uint16_t)v);
    put16(a, (uint16_t)(v >> 16));
}

static inline void put_bytes(archive *a, const void *p, size_t n) {
    if (a->n + n > sizeof a->at) abort();
    memcpy(a->at + a->n, p, n);
    a->n += n;
}

/* What both headers of an entry say of it. */
static inline void put_facts(archive *a, size_t i) {
    put16(a, a->entries[i].method);
    put32(a, 0);
    put32(a, a->entries[i].crc);
    put32(a, a->entries[i].packed);
    put32(a, a->entries[i].size);
    put16(a, (uint16_t)strlen(a->entries[i].name));
}

static inline void put_local_header(archive *a, size_t i) {
    put32(a, 0x04034b50);
    put16(a, 20);
    put16(a, 0);
    put_facts(a, i);
    put16(a, 0);
    put_bytes(a, a->entries[i].name, strlen(a->entries[i].name));
}

/** An entry with these bytes, stored or as one deflate block that packs nothing. The recorded sizes may be changed
 * before archive_end. */
static inline void add_entry(archive *a, const char *name, const void *data, size_t n, bool deflate_it) {
    size_t i = a->n_entries++;
    snprintf(a->entries[i].name, sizeof a->entries[i].name, "%s", name);
    a->entries[i].crc = crc_of(data, n);
    a->entries[i].size = (uint32_t)n;
    a->entries[i].packed = (uint32_t)n + (deflate_it ? 5 : 0);
    a->entries[i].method = deflate_it ? 8 : 0;
    a->entries[i].offset = (uint32_t)a->n;
    put_local_header(a, i);
    if (deflate_it) {
        put_bytes(a, "\x01", 1);
        put16(a, (uint16_t)n);
        put16(a, (uint16_t)~n);
    }
    put_bytes(a, data, n);
}

static inline void archive_end(archive *a) {
    uint32_t begin = (uint32_t)a->n;
    for (size_t i = 0; i < a->n_entries; i++) {
        put32(a, 0x02014b50);
        put16(a, 20);
        put16(a, 20);
        put16(a, 0);
        put_facts(a, i);
        for (int k = 0; k < 4; k++)
            put16(a, 0);
        put32(a, 0);
        put32(a, a->entries[i].offset);
        put_bytes(a, a->entries[i].name, strlen(a->entries[i].name));
    }
    uint32_t end = (uint32_t)a->n;
    put32(a, 0x06054b50);
    put32(a, 0);
    put16(a, (uint16_t)a->n_entries);
    put16(a, (uint16_t)a->n_entries);
    put32(a, end - begin);
    put32(a, begin);
    put16(a, 0);
}

/** A .npy file with this header text and these bytes; returns its length. `out` must be large enough. */
static inline size_t make_npy(uint8_t *out, const char *header, const void *data, size_t n) {
    size_t length = strlen(header), padded = (10 + length + 1 + 63) / 64 * 64 - 10;
    memcpy(out, "\x93NUMPY\x01", 8);
    out[8] = (uint8_t)padded;
    out[9] = (uint8_t)(padded >> 8);
    memset(out + 10, ' ', padded);
    memcpy(out + 10, header, length);
    out[10 + padded - 1] = '\n';
    if (n > 0) memcpy(out + 10 + padded, data, n);
    return 10 + padded + n;
}

static inline void add_array(archive *a, const char *name, const char *descr, const char *shape, const void *data,
                             size_t n, bool deflate_it) {
    static uint8_t npy[1 << 15];
    char header[256];
    snprintf(header, sizeof header, "{'descr': %s, 'fortran_order': False, 'shape': %s, }", descr, shape);
    if (n + 512 > sizeof npy) abort();
    add_entry(a, name, npy, make_npy(npy, header, data, n), deflate_it);
}

#endif
