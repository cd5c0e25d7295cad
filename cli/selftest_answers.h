/* Made by tests/kat/make_answers.py with an implementation of its own. */
/* clang-format off */
#ifndef MSFL_CLI_SELFTEST_ANSWERS_H
#define MSFL_CLI_SELFTEST_ANSWERS_H

#include <stdint.h>

typedef struct selftest_answer {
    uint32_t clients, bits, ring_degree, values;
    uint64_t first_prime;
    const char *ciphertext;
} selftest_answer;

static const selftest_answer selftest_answers[] = {
    {2, 8, 1024, 9, 134215681,
     "5a30694a05dc902a4f579818c4867d0557"},
    {3, 24, 4096, 8, 2147377153,
     "cfed62b73dd5b38caa0dd541de7bd20766fb77a32f7b57b1196b3c24c1ff60"},
    {10, 16, 8192, 25, 137438822401,
     "0ead0ccd9a217dc87402a5736fb7548c5e780cc896cd360010c651e42c641a101167470683b4ab67da84ae346feb2700b1a8"
     "fa445308be6f28ad161ebacb1f0a159044007a260f"},
};

#endif
