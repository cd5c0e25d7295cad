#include "import/sequences.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { COLUMNS_MAX = MSFL_RECIPE_CHANNELS_MAX + 1 };

/* Usual names for the same sequence. */
static const char *const synonyms[][4] = {
    {"t1", "t1n", "t1w"}, {"t1c", "t1ce", "t1gd", "t1post"}, {"t2", "t2w"}, {"flair", "t2f", "t2flair"}};

static bool same_word(const char *text, size_t length, const char *word) {
    return strlen(word) == length && strncasecmp(text, word, length) == 0;
}

static bool means(const char *text, size_t length, const char *sequence) {
    if (same_word(text, length, sequence)) return true;
    for (size_t g = 0; g < sizeof synonyms / sizeof synonyms[0]; g++) {
        bool has_text = false, has_sequence = false;
        for (size_t i = 0; i < 4 && synonyms[g][i] != NULL; i++) {
            has_text = has_text || same_word(text, length, synonyms[g][i]);
            has_sequence = has_sequence || strcasecmp(sequence, synonyms[g][i]) == 0;
        }
        if (has_text && has_sequence) return true;
    }
    return false;
}

/* A path in its parts: [0, n_sample) names the sample, [word, word + n_word) the sequence. */
typedef struct parts {
    size_t n_sample, word, n_word;
} parts;

static bool take_apart(const char *path, parts *out) {
    const char *slash = strrchr(path, '/');
    const size_t base = slash == NULL ? 0 : (size_t)(slash + 1 - path);
    size_t end = strlen(path);
    /* .nii.gz, .nii, .dcm */
    for (int i = 0; i < 2; i++) {
        size_t dot = end;
        while (dot > base && path[dot - 1] != '.')
            dot--;
        if (dot <= base + 1 || end - dot > 4) break;
        end = dot - 1;
    }
    size_t word = end;
    while (word > base && path[word - 1] != '_' && path[word - 1] != '-')
        word--;
    *out = (parts){word == base ? base : word - 1, word, end - word};
    return word > base && end > word;
}

static bool digits(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!isdigit((unsigned char)text[i])) return false;
    }
    return true;
}

/* "BraTS-GLI-00001-000" -> "BraTS-GLI-00001"; the folder does not belong to it. */
static void put_patient(msfl_buffer *b, const char *sample, size_t length) {
    size_t base = length;
    while (base > 0 && sample[base - 1] != '/')
        base--;
    const char *name = sample + base;
    size_t n = length - base;
    if (n > 10 && name[n - 4] == '-' && digits(name + n - 3, 3) && digits(name + n - 9, 5) && name[n - 10] == '-')
        n -= 4;
    msfl_put_bytes(b, name, n);
}

/* One sample: files of each column by their number in the scan. */
typedef struct sample {
    const char *path; /* of its first file, borrowed */
    size_t length;    /* of it, as far as it names the sample */
    const char *folder;
    uint32_t files[COLUMNS_MAX];
} sample;

typedef struct table {
    const msfl_scan *scan;
    const char *names[COLUMNS_MAX];
    uint32_t n_columns;
    sample *samples;
    size_t n, capacity;
} table;

static uint32_t column_of(const table *t, const char *word, size_t length) {
    for (uint32_t c = 0; c < t->n_columns; c++) {
        if (means(word, length, t->names[c])) return c;
    }
    return t->n_columns;
}

/* Paths are sorted within their folder, so a sample's files are close together; but "a-t1" and "a-t2" of a folder may
 * have "a-b-t1" between them. */
static msfl_status find_sample(table *t, const char *path, size_t length, const char *folder, sample **out) {
    const size_t base = (size_t)(strrchr(path, '/') == NULL ? 0 : strrchr(path, '/') + 1 - path);
    for (size_t i = t->n; i > 0; i--) {
        sample *s = &t->samples[i - 1];
        if (s->length == length && memcmp(s->path, path, length) == 0) {
            *out = s;
            return MSFL_OK;
        }
        if (strncmp(s->path, path, base) != 0) break; /* another folder */
    }
    void *samples = t->samples;
    msfl_status status = msfl_grow(&samples, &t->capacity, t->n + 1, sizeof *t->samples);
    t->samples = samples;
    if (status != MSFL_OK) return status;
    *out = &t->samples[t->n++];
    **out = (sample){.path = path, .length = length, .folder = folder};
    for (uint32_t c = 0; c < COLUMNS_MAX; c++)
        (*out)->files[c] = UINT32_MAX;
    return MSFL_OK;
}

static msfl_status collect(table *t) {
    for (size_t i = 0; i < t->scan->paths.n; i++) {
        const char *path = msfl_texts_get(&t->scan->paths, i);
        parts p;
        if (!take_apart(path, &p)) continue;
        const uint32_t c = column_of(t, path + p.word, p.n_word);
        if (c == t->n_columns) continue; /* a sequence that the recipe does not take */
        sample *s;
        msfl_status status = find_sample(t, path, p.n_sample, msfl_texts_get(&t->scan->classes, i), &s);
        if (status != MSFL_OK) return status;
        if (s->files[c] != UINT32_MAX) {
            return msfl_fail(MSFL_ERR_DATA,
                             "%s and %s both look like '%s' of one sample: name the files in a table (--labels)", path,
                             msfl_texts_get(&t->scan->paths, s->files[c]), t->names[c]);
        }
        s->files[c] = (uint32_t)i;
    }
    return MSFL_OK;
}

/* Folders are classes where one of them holds several samples (HGG/case, LGG/case), not where each is a sample. */
static bool has_classes(const table *t) {
    for (size_t i = 1; i < t->n; i++) {
        if (t->samples[i].folder[0] != 0 && strcmp(t->samples[i].folder, t->samples[i - 1].folder) == 0) return true;
    }
    return false;
}

static void put_cell(msfl_buffer *b, const char *text) {
    msfl_put8(b, '"');
    for (const char *at = text; *at != 0; at++) {
        if (*at == '"') msfl_put8(b, '"');
        msfl_put8(b, (uint8_t)*at);
    }
    msfl_put8(b, '"');
}

static msfl_status write(const table *t, msfl_buffer *b) {
    const bool classes = has_classes(t);
    for (uint32_t c = 0; c < t->n_columns; c++) {
        put_cell(b, t->names[c]);
        msfl_put8(b, ',');
    }
    msfl_put_text(b, "patient,class\n");
    for (size_t i = 0; i < t->n; i++) {
        const sample *s = &t->samples[i];
        for (uint32_t c = 0; c < t->n_columns; c++) {
            put_cell(b, s->files[c] == UINT32_MAX ? "" : msfl_texts_get(&t->scan->paths, s->files[c]));
            msfl_put8(b, ',');
        }
        msfl_buffer name = {0};
        put_patient(&name, s->path, s->length);
        msfl_put8(&name, 0);
        if (name.status == MSFL_OK) put_cell(b, (const char *)name.bytes);
        if (name.status != MSFL_OK) b->status = name.status;
        msfl_buffer_clear(&name);
        msfl_put8(b, ',');
        put_cell(b, classes ? s->folder : "all");
        msfl_put8(b, '\n');
    }
    msfl_put8(b, 0); /* not counted, as behind what msfl_file_read reads */
    return b->status;
}

msfl_status msfl_sequences_table(const msfl_scan *scan, const msfl_recipe *recipe, const char *mask, msfl_labels *out) {
    table t = {.scan = scan};
    msfl_buffer b = {0};
    for (uint32_t i = 0; i < recipe->n_sequences; i++)
        t.names[t.n_columns++] = recipe->sequences[i];
    if (mask != NULL) t.names[t.n_columns++] = mask;
    msfl_status status = collect(&t);
    if (status == MSFL_OK && t.n == 0) {
        status = msfl_fail(MSFL_ERR_DATA,
                           "%s: no file is called like a sequence of the recipe (...-%s.nii.gz, for one): a table "
                           "(--labels) with a column of file names for each sequence is needed",
                           scan->root, t.names[0]);
    }
    if (status == MSFL_OK) status = write(&t, &b);
    if (status == MSFL_OK) {
        uint8_t *bytes = b.bytes;
        const size_t length = b.length - 1;
        b = (msfl_buffer){0};
        status = msfl_csv_parse("file names", bytes, length, &out->table);
    }
    if (status == MSFL_OK) {
        out->path = msfl_path_join(scan->root, "file names");
        out->patient = t.n_columns;
        if (out->path == NULL) status = MSFL_NO_MEMORY;
    }
    msfl_buffer_clear(&b);
    msfl_free(t.samples);
    return status;
}
