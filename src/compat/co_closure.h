/* SPDX-License-Identifier: MIT */
/*
 * co_closure — functions with the variables that they will need.
 *
 *     co_ref(by_reference, total, mutex);
 *     co_func(Work, by_reference, i)
 *     {
 *             by_reference.total += i;
 *     }
 *     co_func_end;
 *     stCoClosure_t *work = new Work(by_reference, i);
 *     ...
 *     work->exec();
 *     delete work;
 *
 * co_ref makes an object of references, co_func a class that has copies: of 0 to 12
 * variables (libco: 6), by their names, with their types. The constructor takes any
 * value of that type, also one that can only be moved (libco: variables).
 *
 * libco's own helpers for this, from decl_typeof to `repeat`, are macros with names
 * that others use as well: they are here with -DCO_COMPAT_HELPERS only.
 */
#ifndef COSTEP_COMPAT_CO_CLOSURE_H
#define COSTEP_COMPAT_CO_CLOSURE_H

#include <type_traits>
#include <utility>

struct stCoClosure_t {
	virtual void exec() = 0;
	virtual ~stCoClosure_t()
	{
	}
};

/* --- counting and joining ---------------------------------------------------------- */

#ifdef __clang__
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpragmas"
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
#endif

#define comac_join(x, y) comac_join_1(x, y)
#define comac_join_1(x, y) x##y
#define comac_arg_n(_0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, n, ...) n
#define comac_args_seqs() 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0
#define comac_get_args_cnt(...) comac_arg_n(__VA_ARGS__)
#define comac_argc(...) comac_get_args_cnt(0, ##__VA_ARGS__, comac_args_seqs())

/* comac_argc() is 0 with -std=gnu++11 and the like; with -std=c++11 gcc keeps the comma
 * there, and it is 1. With a parameter in front it is dropped in all dialects. */
#define CO_COMPAT_COUNT(zero, ...) comac_get_args_cnt(zero, ##__VA_ARGS__, comac_args_seqs())

/* f(x) for each argument, with between() between them. */
#define CO_COMPAT_EACH(f, between, ...) \
	comac_join(CO_COMPAT_EACH_, CO_COMPAT_COUNT(0, ##__VA_ARGS__))(f, between, ##__VA_ARGS__)
#define CO_COMPAT_EACH_0(f, between)
#define CO_COMPAT_EACH_1(f, between, x) f(x)
#define CO_COMPAT_EACH_2(f, between, x, ...) f(x) between() CO_COMPAT_EACH_1(f, between, __VA_ARGS__)
#define CO_COMPAT_EACH_3(f, between, x, ...) f(x) between() CO_COMPAT_EACH_2(f, between, __VA_ARGS__)
#define CO_COMPAT_EACH_4(f, between, x, ...) f(x) between() CO_COMPAT_EACH_3(f, between, __VA_ARGS__)
#define CO_COMPAT_EACH_5(f, between, x, ...) f(x) between() CO_COMPAT_EACH_4(f, between, __VA_ARGS__)
#define CO_COMPAT_EACH_6(f, between, x, ...) f(x) between() CO_COMPAT_EACH_5(f, between, __VA_ARGS__)
#define CO_COMPAT_EACH_7(f, between, x, ...) f(x) between() CO_COMPAT_EACH_6(f, between, __VA_ARGS__)
#define CO_COMPAT_EACH_8(f, between, x, ...) f(x) between() CO_COMPAT_EACH_7(f, between, __VA_ARGS__)
#define CO_COMPAT_EACH_9(f, between, x, ...) f(x) between() CO_COMPAT_EACH_8(f, between, __VA_ARGS__)
#define CO_COMPAT_EACH_10(f, between, x, ...) f(x) between() CO_COMPAT_EACH_9(f, between, __VA_ARGS__)
#define CO_COMPAT_EACH_11(f, between, x, ...) f(x) between() CO_COMPAT_EACH_10(f, between, __VA_ARGS__)
#define CO_COMPAT_EACH_12(f, between, x, ...) f(x) between() CO_COMPAT_EACH_11(f, between, __VA_ARGS__)
#define CO_COMPAT_NOTHING()
#define CO_COMPAT_COMMA() ,

/* --- closures ------------------------------------------------------------------------ */

/* The type has to be named before the class: inside, the name means the member. */
#define CO_COMPAT_TYPE(x) typedef typename std::remove_reference<decltype(x)>::type typeof_##x;
#define CO_COMPAT_REFERENCE(x) typeof_##x &x;
#define CO_COMPAT_COPY(x) typeof_##x x;
#define CO_COMPAT_REFERENCE_ARG(x) typeof_##x &x##_given
#define CO_COMPAT_COPY_ARG(x) typeof_##x x##_given
#define CO_COMPAT_BIND(x) x(x##_given),
#define CO_COMPAT_MOVE(x) x(std::move(x##_given)),

#define co_ref(name, ...) \
	CO_COMPAT_EACH(CO_COMPAT_TYPE, CO_COMPAT_NOTHING, ##__VA_ARGS__) \
	class type_##name { \
	public: \
		CO_COMPAT_EACH(CO_COMPAT_REFERENCE, CO_COMPAT_NOTHING, ##__VA_ARGS__) \
		int _member_cnt; \
		type_##name(CO_COMPAT_EACH(CO_COMPAT_REFERENCE_ARG, CO_COMPAT_COMMA, ##__VA_ARGS__)) \
			: CO_COMPAT_EACH(CO_COMPAT_BIND, CO_COMPAT_NOTHING, ##__VA_ARGS__) \
			  _member_cnt(CO_COMPAT_COUNT(0, ##__VA_ARGS__)) \
		{ \
		} \
	} name(__VA_ARGS__)

#define co_func(name, ...) \
	CO_COMPAT_EACH(CO_COMPAT_TYPE, CO_COMPAT_NOTHING, ##__VA_ARGS__) \
	class name : public stCoClosure_t { \
	public: \
		CO_COMPAT_EACH(CO_COMPAT_COPY, CO_COMPAT_NOTHING, ##__VA_ARGS__) \
		int _member_cnt; \
		name(CO_COMPAT_EACH(CO_COMPAT_COPY_ARG, CO_COMPAT_COMMA, ##__VA_ARGS__)) \
			: CO_COMPAT_EACH(CO_COMPAT_MOVE, CO_COMPAT_NOTHING, ##__VA_ARGS__) \
			  _member_cnt(CO_COMPAT_COUNT(0, ##__VA_ARGS__)) \
		{ \
		} \
		void exec() override

#define co_func_end }

/* --- libco's own helpers ---------------------------------------------------------------- */

#ifdef CO_COMPAT_HELPERS
/* f(i, x, the rest) for the first n of the arguments; i counts down to 1. */
#define repeat(n, f, ...) comac_join(repeat_, n)(f, __VA_ARGS__)
#define repeat_0(f, ...)
#define repeat_1(f, x, ...) f(1, x, __VA_ARGS__)
#define repeat_2(f, x, ...) f(2, x, __VA_ARGS__) repeat_1(f, __VA_ARGS__)
#define repeat_3(f, x, ...) f(3, x, __VA_ARGS__) repeat_2(f, __VA_ARGS__)
#define repeat_4(f, x, ...) f(4, x, __VA_ARGS__) repeat_3(f, __VA_ARGS__)
#define repeat_5(f, x, ...) f(5, x, __VA_ARGS__) repeat_4(f, __VA_ARGS__)
#define repeat_6(f, x, ...) f(6, x, __VA_ARGS__) repeat_5(f, __VA_ARGS__)
#define decl_typeof(i, x, ...) CO_COMPAT_TYPE(x)
#define impl_typeof(i, x, ...) CO_COMPAT_REFERENCE(x)
#define impl_typeof_cpy(i, x, ...) CO_COMPAT_COPY(x)
#define con_param_typeof(i, x, ...) CO_COMPAT_REFERENCE_ARG(x),
#define param_init_typeof(i, x, ...) CO_COMPAT_BIND(x)
#endif

#ifdef __clang__
#pragma clang diagnostic pop
#endif

#endif
