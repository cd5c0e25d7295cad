/* The parent's half of the DICOM reader, told lies by a child: an answer is taken as a file from a stranger would be.
 */
#include "base/mem.h"
#include "image/dicom_child.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct said {
    msfl_dicom_answer answer;
    uint8_t rest[4096];
    size_t n_rest;
    bool dies;
} said;

static void say(void *ctx, int out) {
    const said *s = ctx;
    if (s->dies) abort();
    msfl_child_write(out, &s->answer, sizeof s->answer);
    msfl_child_write(out, s->rest, s->n_rest);
}

static void put(said *s, const void *bytes, size_t n) {
    assert_true(s->n_rest + n <= sizeof s->rest);
    memcpy(s->rest + s->n_rest, bytes, n);
    s->n_rest += n;
}

/* Two frames of 3 x 2 samples of 16 bits, each with its own rescale, and a table. */
static said good_answer(void) {
    said s = {.answer = {.magic = MSFL_DICOM_MAGIC,
                         .facts = {.modality = "CT", .transfer_syntax = "1.2.840.10008.1.2.1", .bits_allocated = 16},
                         .series_uid = "1.2.3",
                         .width = 3,
                         .height = 2,
                         .channels = 1,
                         .frames = 2,
                         .bits = 16,
                         .bits_stored = 12,
                         .rescale = {1, 0},
                         .has_rescales = 1}};
    s.answer.tables[4].n = 4;
    s.answer.tables[4].bits = 16;
    const uint16_t table[4] = {1, 2, 3, 4}, frames[2][6] = {{1, 2, 3, 4, 5, 6}, {7, 8, 9, 10, 11, 12}};
    const msfl_rescale rescales[2] = {{1, 0}, {2, 1}};
    const uint32_t one = 1;
    put(&s, table, sizeof table);
    put(&s, rescales, sizeof rescales);
    for (int i = 0; i < 2; i++) {
        put(&s, &one, sizeof one);
        put(&s, frames[i], sizeof frames[i]);
    }
    return s;
}

static msfl_status listen(said *s, msfl_dicom *dicom, msfl_image *image) {
    msfl_child child;
    assert_int_equal(msfl_child_start(say, s, 64 << 20, 20, &child), MSFL_OK);
    msfl_status status = msfl_dicom_receive("t.dcm", &child, 1000, false, dicom, image);
    msfl_child_end(&child);
    return status;
}

static void the_truth(void **state) {
    (void)state;
    said s = good_answer();
    msfl_dicom dicom;
    msfl_image image = {0};
    assert_int_equal(listen(&s, &dicom, &image), MSFL_OK);
    assert_int_equal(image.depth, 2);
    assert_int_equal(((uint16_t *)image.samples)[11], 12);
    assert_int_equal(image.voi.values[3], 4);
    assert_true(msfl_image_rescaled(&image, 1, 10) == 21);
    assert_string_equal(dicom.modality, "CT");
    const uint8_t none[MSFL_HASH_BYTES] = {0};
    assert_memory_not_equal(dicom.series, none, sizeof none);
    msfl_image_clear(&image);
}

static void check_refused(said *s, const char *name) {
    msfl_dicom dicom;
    msfl_image image = {0};
    msfl_fault_forget();
    msfl_status status = listen(s, &dicom, &image);
    assert_int_not_equal(status, MSFL_OK);
    assert_string_equal(msfl_fault_name(status), name);
    assert_null(image.samples);
    assert_null(image.rescales);
}

/* Frames and their rescales come as they are stored, and belong where the slots say. */
static void frames_in_another_order(void **state) {
    (void)state;
    said s = good_answer();
    static const uint32_t slots[2] = {1, 0}, twice[2] = {1, 1}, beyond[2] = {0, 2};
    const size_t at = 4 * sizeof(uint16_t) + 2 * sizeof(msfl_rescale);
    memmove(s.rest + at + sizeof slots, s.rest + at, s.n_rest - at);
    memcpy(s.rest + at, slots, sizeof slots);
    s.n_rest += sizeof slots;
    s.answer.has_slots = 1;
    msfl_dicom dicom;
    msfl_image image = {0};
    assert_int_equal(listen(&s, &dicom, &image), MSFL_OK);
    assert_int_equal(((uint16_t *)image.samples)[0], 7);
    assert_int_equal(((uint16_t *)image.samples)[6], 1);
    assert_true(image.rescales[0].slope == 2 && image.rescales[1].slope == 1);
    msfl_image_clear(&image);
    memcpy(s.rest + at, twice, sizeof twice);
    check_refused(&s, "decoder_died");
    memcpy(s.rest + at, beyond, sizeof beyond);
    check_refused(&s, "decoder_died");
}

static void lies(void **state) {
    (void)state;
    said s;
#define LIE(field, value)                                                                                              \
    do {                                                                                                               \
        s = good_answer();                                                                                             \
        s.answer.field = (value);                                                                                      \
        check_refused(&s, "decoder_died");                                                                             \
    } while (0)
    LIE(magic, 1);
    LIE(width, 0);
    LIE(width, 16385);
    LIE(height, UINT32_MAX);
    LIE(channels, 2);
    LIE(channels, 3);
    LIE(frames, 0);
    LIE(frames, UINT32_MAX);
    LIE(frames, 4 << 20); /* more than a file of 1000 bytes can hold */
    LIE(bits, 12);
    LIE(bits, 64);
    LIE(bits_stored, 0);
    LIE(bits_stored, 17);
    LIE(kind, 2);
    LIE(kind, 77);
    LIE(colour, MSFL_COLOUR_PALETTE);
    LIE(colour, MSFL_COLOUR_RGB);
    LIE(colour, 1000);
    LIE(has_rescales, 2);
    LIE(rescale.slope, NAN);
    LIE(window.centre, INFINITY);
    LIE(window.function, (msfl_window_function)9);
    LIE(spacing[1], NAN);
    LIE(affine[2][3], -INFINITY);
    LIE(facts.position[0], NAN);
    LIE(tables[4].n, 65537);
    LIE(tables[4].bits, 17);
    LIE(excuse.fault, 1000);
    LIE(tables[3].n, 70000);
    LIE(has_slots, 2);
#undef LIE
    s = good_answer();
    s.answer.excuse.fault = MSFL_FAULT_NO_PIXELS;
    memset(s.answer.excuse.text, '\033', sizeof s.answer.excuse.text);
    check_refused(&s, "no_pixels");
    s = good_answer();
    s.dies = true;
    check_refused(&s, "decoder_died");
    size_t whole = good_answer().n_rest;
    for (size_t n = 0; n < whole; n += 3) {
        s = good_answer();
        s.n_rest = n;
        check_refused(&s, "decoder_died");
    }
    /* An excuse in place of the second frame. */
    s = good_answer();
    s.n_rest -= 16;
    const uint32_t zero = 0;
    const msfl_dicom_excuse excuse = {MSFL_FAULT_DECODER_FAILED, "frame 2"};
    put(&s, &zero, sizeof zero);
    put(&s, &excuse, sizeof excuse);
    check_refused(&s, "decoder_failed");
}

static void texts_are_cleaned(void **state) {
    (void)state;
    said s = good_answer();
    memset(s.answer.facts.transfer_syntax, '\n', sizeof s.answer.facts.transfer_syntax);
    snprintf(s.answer.facts.modality, sizeof s.answer.facts.modality, "Name^Of");
    msfl_dicom dicom;
    msfl_image image = {0};
    assert_int_equal(listen(&s, &dicom, &image), MSFL_OK);
    assert_int_equal(strlen(dicom.transfer_syntax), sizeof dicom.transfer_syntax - 1);
    assert_int_equal(dicom.transfer_syntax[0], '?');
    assert_string_equal(dicom.modality, "");
    msfl_image_clear(&image);
}

static void want_of_memory(void **state) {
    (void)state;
    said s = good_answer();
    bool ok = false;
    long k = 1;
    for (; !ok; k++) {
        msfl_dicom dicom;
        msfl_image image = {0};
        msfl_child child;
        assert_int_equal(msfl_child_start(say, &s, 64 << 20, 20, &child), MSFL_OK);
        msfl_alloc_fail_at(k);
        msfl_status status = msfl_dicom_receive("t.dcm", &child, 1000, false, &dicom, &image);
        msfl_alloc_fail_at(0);
        msfl_child_end(&child);
        ok = status == MSFL_OK;
        if (!ok) {
            assert_int_equal(status, MSFL_ERR_MEMORY);
            assert_null(image.samples);
        }
        msfl_image_clear(&image);
    }
    assert_int_equal(k, 5); /* table, rescales, samples, and the time nothing fails */
}

static void what_is_dicom(void **state) {
    (void)state;
    uint8_t b[200] = {0};
    assert_false(msfl_dicom_sniff(b, sizeof b));
    memcpy(b + 128, "DICM", 4);
    assert_true(msfl_dicom_sniff(b, 132));
    assert_false(msfl_dicom_sniff(b, 131));
    static const uint8_t explicit_vr[16] = {8, 0, 5, 0, 'C', 'S', 10, 0}, implicit[16] = {8, 0, 0, 0, 4, 0, 0, 0},
                         big[16] = {0, 8, 0, 5, 'C', 'S', 0, 10};
    assert_true(msfl_dicom_sniff(explicit_vr, 16));
    assert_true(msfl_dicom_sniff(implicit, 16));
    assert_true(msfl_dicom_sniff(big, 16));
    assert_false(msfl_dicom_sniff(big, 15));
    assert_false(msfl_dicom_sniff((const uint8_t *)"\x08 some other text", 16));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_truth),         cmocka_unit_test(frames_in_another_order), cmocka_unit_test(lies),
        cmocka_unit_test(texts_are_cleaned), cmocka_unit_test(want_of_memory),          cmocka_unit_test(what_is_dicom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
