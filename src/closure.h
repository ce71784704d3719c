/* SPDX-License-Identifier: MIT */
/*
 * closure — a function together with the values that it will need.
 *
 * Layer:   11 (uses: nothing). A header alone.
 * Owns:    a closure is its maker's, on the heap, until free(3) or
 *          co_closure_run_once.
 * Thread:  any; it is data.
 * Errors:  NULL and errno.
 * Model:   libco co_closure.h at dc6aafc; differs in: C, written types instead of
 *          deduced ones, 16 captures instead of 6, values need not be variables.
 *
 *     CO_CLOSURE(add_up, (int, from), (int, to), (long *, sum))
 *     {
 *             for (int i = self->from; i <= self->to; i++)
 *                     *self->sum += i;
 *             return NULL;
 *     }
 *     ...
 *     struct add_up *closure = add_up_new(1, 100, &sum);
 *     co_create(&co, NULL, co_closure_run_once, closure);
 *
 * A capture is a (type, name) pair. It is copied when the closure is made, and the
 * body has it as self->name, which it may also change. By reference means: capture
 * a pointer. What that points to must live until the body has run, and must not lie
 * on the stack of a coroutine on a shared stack: while that one is suspended, its
 * bytes are elsewhere.
 *
 * A type that cannot stand before a name (an array, a pointer to a function) needs
 * a typedef, and an array a struct around it.
 *
 * No nested functions of gcc: to point at one, it wants a stack that can be executed.
 */
#ifndef CO_CLOSURE_H
#define CO_CLOSURE_H

#include <stdlib.h>
#include <string.h>

/* What all closures begin with: enough to run one without knowing which it is. */
struct co_closure {
	void *(*body)(struct co_closure *self);
};

/* Define a closure: 1 to 16 captures, then the body, as a function that returns
 * void *. At file scope. It makes
 *
 *     struct name                     begins with struct co_closure; then the captures
 *     struct name *name_new(captures) on the heap; NULL, ENOMEM
 *     static void *name_body(struct name *self)
 */
#define CO_CLOSURE(name, ...) \
	struct name { \
		struct co_closure closure; \
		CO_CLOSURE_EACH_(CO_CLOSURE_FIELD_, CO_CLOSURE_NOTHING_, __VA_ARGS__) \
	}; \
	static void *name##_body(struct name *self); \
	static void *name##_body_(struct co_closure *self) \
	{ \
		return name##_body((struct name *)self); \
	} \
	__attribute__((unused)) static struct name *name##_new( \
		CO_CLOSURE_EACH_(CO_CLOSURE_PARAMETER_, CO_CLOSURE_COMMA_, __VA_ARGS__)) \
	{ \
		const struct name co_closure_value_ = { \
			{ name##_body_ }, CO_CLOSURE_EACH_(CO_CLOSURE_NAME_, CO_CLOSURE_COMMA_, __VA_ARGS__) \
		}; \
		struct name *co_closure_ = (struct name *)malloc(sizeof(struct name)); \
		if (co_closure_) \
			memcpy((void *)co_closure_, &co_closure_value_, sizeof(struct name)); \
		return co_closure_; \
	} \
	static void *name##_body(struct name *self)

/* Run a closure: what its body returns. Each is a co_fn.
 *
 * co_closure_run       as often as you like. free() it when nobody runs it.
 * co_closure_run_once  and free it after its body has returned. (If a coroutine is
 *                      released before that, it is not freed; after co_reset the
 *                      function would find it gone.) */
static inline void *co_closure_run(void *closure)
{
	struct co_closure *c = (struct co_closure *)closure;

	return c->body(c);
}

static inline void *co_closure_run_once(void *closure)
{
	void *result = co_closure_run(closure);

	free(closure);
	return result;
}

/* --- what the preprocessor needs for that -------------------------------------------- */

/* A capture is a pair in parentheses, so that a macro's name put in front of it is
 * that macro's call. */
#define CO_CLOSURE_FIELD_(type, name) type name;
#define CO_CLOSURE_PARAMETER_(type, name) type name
#define CO_CLOSURE_NAME_(type, name) name

#define CO_CLOSURE_NOTHING_()
#define CO_CLOSURE_COMMA_() ,

/* f for each of the pairs, with between() between them. */
#define CO_CLOSURE_EACH_(f, between, ...) \
	CO_CLOSURE_PICK_(__VA_ARGS__, CO_CLOSURE_16_, CO_CLOSURE_15_, CO_CLOSURE_14_, CO_CLOSURE_13_, CO_CLOSURE_12_, \
			 CO_CLOSURE_11_, CO_CLOSURE_10_, CO_CLOSURE_9_, CO_CLOSURE_8_, CO_CLOSURE_7_, CO_CLOSURE_6_, \
			 CO_CLOSURE_5_, CO_CLOSURE_4_, CO_CLOSURE_3_, CO_CLOSURE_2_, CO_CLOSURE_1_, 0) \
	(f, between, __VA_ARGS__)
#define CO_CLOSURE_PICK_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, which, ...) which

#define CO_CLOSURE_1_(f, between, x) f x
#define CO_CLOSURE_2_(f, between, x, ...) f x between() CO_CLOSURE_1_(f, between, __VA_ARGS__)
#define CO_CLOSURE_3_(f, between, x, ...) f x between() CO_CLOSURE_2_(f, between, __VA_ARGS__)
#define CO_CLOSURE_4_(f, between, x, ...) f x between() CO_CLOSURE_3_(f, between, __VA_ARGS__)
#define CO_CLOSURE_5_(f, between, x, ...) f x between() CO_CLOSURE_4_(f, between, __VA_ARGS__)
#define CO_CLOSURE_6_(f, between, x, ...) f x between() CO_CLOSURE_5_(f, between, __VA_ARGS__)
#define CO_CLOSURE_7_(f, between, x, ...) f x between() CO_CLOSURE_6_(f, between, __VA_ARGS__)
#define CO_CLOSURE_8_(f, between, x, ...) f x between() CO_CLOSURE_7_(f, between, __VA_ARGS__)
#define CO_CLOSURE_9_(f, between, x, ...) f x between() CO_CLOSURE_8_(f, between, __VA_ARGS__)
#define CO_CLOSURE_10_(f, between, x, ...) f x between() CO_CLOSURE_9_(f, between, __VA_ARGS__)
#define CO_CLOSURE_11_(f, between, x, ...) f x between() CO_CLOSURE_10_(f, between, __VA_ARGS__)
#define CO_CLOSURE_12_(f, between, x, ...) f x between() CO_CLOSURE_11_(f, between, __VA_ARGS__)
#define CO_CLOSURE_13_(f, between, x, ...) f x between() CO_CLOSURE_12_(f, between, __VA_ARGS__)
#define CO_CLOSURE_14_(f, between, x, ...) f x between() CO_CLOSURE_13_(f, between, __VA_ARGS__)
#define CO_CLOSURE_15_(f, between, x, ...) f x between() CO_CLOSURE_14_(f, between, __VA_ARGS__)
#define CO_CLOSURE_16_(f, between, x, ...) f x between() CO_CLOSURE_15_(f, between, __VA_ARGS__)

#endif
