/* Slices of DICOM series to the volumes of an import, where memory runs out at every place. */
#include "base/mem.h"
#include "base/threads.h"
#include "import/items.h"

#include "../dataset/tree.h"
#include "../image/slices.h"

#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static char data[128];
static msfl_recipe recipe;
static msfl_pool *pool;

static msfl_status run(msfl_items *items) {
    const msfl_items_options o = {.data = data};
    msfl_status status = msfl_items_find(&o, &recipe, items);
    return status == MSFL_OK ? msfl_items_stack(items, pool, NULL) : status;
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    static const char text[] =
        "recipe: 1\ninput: volume\nsteps: [{zscore: {}}, {slices: {axis: slices}}, {resize: {size: [8, 8]}}]";
    assert_int_equal(msfl_recipe_parse("r", text, strlen(text), &recipe), MSFL_OK);
    for (int i = 0; i < 3; i++)
        slice_file(at("data/a/%d.dcm", i), i, 4, "1");
    slice_file(at("data/b/9.dcm"), 0, 5, "1"); /* of another size: it stands alone */
    snprintf(data, sizeof data, "%s", at("data"));
    assert_int_equal(msfl_pool_new(1, &pool), MSFL_OK);
    msfl_items items = {0};
    assert_int_equal(run(&items), MSFL_OK);
    assert_int_equal(items.n, 2);
    assert_int_equal(items.list[0].n + items.list[1].n, 4);
    msfl_items_clear(&items);
    uint64_t before = msfl_alloc_bytes();
    long k = 1;
    for (msfl_status status = MSFL_ERR_MEMORY; status != MSFL_OK; k++) {
        assert_true(k < 2000);
        msfl_alloc_fail_at(k);
        status = run(&items);
        msfl_alloc_fail_at(0);
        if (status != MSFL_OK && status != MSFL_ERR_MEMORY) fail_msg("%ld: %s", k, msfl_error_message());
        msfl_items_clear(&items);
        assert_true(msfl_alloc_bytes() == before);
    }
    assert_true(k > 30);
    msfl_pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, tree_setup, tree_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
