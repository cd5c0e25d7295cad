#include "image/survey_child.h"

#include "base/child.h"
#include "image/dcmtk.h"
#include "image/survey.h"

#include <ctype.h>
#include <string.h>

enum { TEXT_BYTES = 256, TELLING_LENGTH = 4 };

static msfl_declared declared(const msfl_dcmtk_item *root, uint32_t tag) {
    char text[16];
    msfl_dcmtk_text(root, tag, text, sizeof text);
    return strncmp(text, "YES", 3) == 0  ? MSFL_DECLARED_YES
           : strncmp(text, "NO", 2) == 0 ? MSFL_DECLARED_NO
                                         : MSFL_DECLARED_NOT;
}

static void lower(char *text) {
    for (; *text != 0; text++)
        *text = (char)tolower((unsigned char)*text);
}

/* Whether `name` (in lower case) holds one of the parts of `text`, which carets, commas and blanks divide. */
static bool holds_part(const char *name, char *text) {
    lower(text);
    for (char *part = text; *part != 0;) {
        size_t n = strcspn(part, "^, =");
        bool more = part[n] != 0;
        part[n] = 0;
        if (n >= TELLING_LENGTH && strstr(name, part) != NULL) return true;
        part += n + more;
    }
    return false;
}

static bool name_tells(const msfl_dcmtk_item *root, const char *file_name) {
    char name[TEXT_BYTES], text[TEXT_BYTES];
    size_t n = strlen(file_name);
    if (n >= sizeof name) n = sizeof name - 1;
    memcpy(name, file_name, n);
    name[n] = 0;
    lower(name);
    msfl_dcmtk_text(root, 0x00100010, text, sizeof text);
    if (holds_part(name, text)) return true;
    msfl_dcmtk_text(root, 0x00100020, text, sizeof text);
    return holds_part(name, text);
}

static bool is_capture(const msfl_dcmtk_item *root) {
    static const char *const modalities[] = {"US", "IVUS", "SC", "OT", "ES", "XC", "DOC", "ECG"};
    char text[80];
    msfl_dcmtk_text(root, 0x00080060, text, sizeof text);
    for (size_t i = 0; i < sizeof modalities / sizeof modalities[0]; i++)
        if (strcmp(text, modalities[i]) == 0) return true;
    /* Secondary Capture and its multi-frame kinds. */
    msfl_dcmtk_text(root, 0x00080016, text, sizeof text);
    return strncmp(text, "1.2.840.10008.5.1.4.1.1.7", 25) == 0 && (text[25] == 0 || text[25] == '.');
}

void msfl_survey_child(void *ctx, int out) {
    const msfl_survey_job *job = ctx;
    msfl_survey_answer a = {.magic = MSFL_SURVEY_MAGIC};
    msfl_dcmtk *file = NULL;
    if (msfl_dcmtk_open(job->bytes, job->length, &file) == MSFL_DCMTK_OK) {
        const msfl_dcmtk_item *root = msfl_dcmtk_root(file);
        size_t n;
        const msfl_survey_attribute *list = msfl_survey_attributes(&n);
        a.readable = 1;
        for (size_t i = 0; i < n; i++)
            a.attributes |= (uint64_t)msfl_dcmtk_filled(file, list[i].tag) << i;
        msfl_dcmtk_count(file, &a.n_private, &a.n_overlays);
        a.burned_in = declared(root, 0x00280301);
        a.recognisable = declared(root, 0x00280302);
        a.deidentified = declared(root, 0x00120062);
        a.has_regions = msfl_dcmtk_has(root, 0x00186011);
        a.is_capture = is_capture(root);
        a.name_tells = name_tells(root, job->file_name);
    }
    msfl_child_write(out, &a, sizeof a);
    msfl_dcmtk_close(file);
}
