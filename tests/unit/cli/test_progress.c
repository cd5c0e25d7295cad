/* What is left of several runs, and Student's percentiles. */
#include "reproduce_progress.h"
#include "student.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void percentiles(void **state) {
    (void)state;
    /* Of scipy.stats.t.ppf(0.975, n). */
    static const struct {
        int freedom;
        double value;
    } known[] = {{1, 12.7062047364}, {2, 4.3026527297},  {9, 2.2621571628},  {30, 2.0422724563},
                 {31, 2.0395134464}, {60, 2.0002978220}, {99, 1.9842169516}, {1000000, 1.9599663}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_true(fabs(cli_student(known[i].freedom) - known[i].value) < 1e-5);
    assert_true(isnan(cli_student(0)));
    for (int n = 1; n < 120; n++)
        assert_true(cli_student(n) > cli_student(n + 1));
}

static void round_done(reproduce_progress *p, const char *track, uint32_t round) {
    const msfl_event event = {.kind = MSFL_EVENT_ROUND_DONE,
                              .track = track,
                              .client = -1,
                              .round = round,
                              .n_rounds = p->n_rounds,
                              .loss = NAN};
    reproduce_progress_observe(p, &event);
}

static void near(double a, double b) {
    if (!(fabs(a - b) < 0.1)) fail_msg("%g is not %g", a, b);
}

static void what_is_left(void **state) {
    (void)state;
    char text[80];
    /* Two runs of four rounds; the first has the central training as well. */
    reproduce_progress p = {.n_rounds = 4, .left = {8, 8, 4}};
    reproduce_progress_begin(&p, true);
    assert_true(p.left[0] == 4 && p.left[1] == 4 && p.left[2] == 0);
    assert_true(isnan(reproduce_progress_left(&p)));
    reproduce_progress_text(&p, text);
    assert_null(strstr(text, "left"));
    round_done(&p, "encrypted", 1);
    /* Rounds of the encrypted federation took 10 seconds each; of the others nothing is known yet. */
    p.seconds[0] = 10;
    near(reproduce_progress_left(&p), 10.0 * (3 + 4 + 4 + 4 + 4));
    for (uint32_t round = 2; round <= 4; round++)
        round_done(&p, "encrypted", round);
    p.seconds[0] = 40;
    round_done(&p, "plain", 1);
    p.seconds[1] = 5;
    /* Four encrypted ones of the second run; three and four plain ones; four central ones at the mean of all. */
    near(reproduce_progress_left(&p), 4 * 10 + 7 * 5 + 4 * 45.0 / 5);
    reproduce_progress_text(&p, text);
    assert_non_null(strstr(text, "left"));
    /* A central training that goes on in its last round. */
    round_done(&p, "central", 4);
    p.seconds[2] = 2;
    near(reproduce_progress_left(&p), 4 * 10 + 4 * 5);
    reproduce_progress_begin(&p, false);
    near(reproduce_progress_left(&p), 4 * 10 + 4 * 5);
    assert_true(p.left[0] == 0 && p.here[2] == 0);
    /* Hospitals alone are no part of it. */
    round_done(&p, "alone-1", 1);
    near(reproduce_progress_left(&p), 4 * 10 + 4 * 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(percentiles), cmocka_unit_test(what_is_left)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
