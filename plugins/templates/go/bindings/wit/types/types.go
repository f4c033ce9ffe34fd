// Package types has the types of the component model that Go has not.
package types

const (
	OptionNone uint8 = iota
	OptionSome
)

// Option is a value or none.
type Option[T any] struct {
	some  bool
	value T
}

func Some[T any](value T) Option[T] { return Option[T]{true, value} }

func None[T any]() Option[T] { return Option[T]{} }

func (option Option[T]) Tag() uint8 {
	if option.some {
		return OptionSome
	}
	return OptionNone
}

// Some returns the value, or the zero value where there is none.
func (option Option[T]) Some() T { return option.value }

const (
	ResultOk uint8 = iota
	ResultErr
)

// Result is a value or an error.
type Result[T, E any] struct {
	failed bool
	value  T
	err    E
}

func Ok[T, E any](value T) Result[T, E] { return Result[T, E]{value: value} }

func Err[T, E any](err E) Result[T, E] { return Result[T, E]{failed: true, err: err} }

func (result Result[T, E]) Tag() uint8 {
	if result.failed {
		return ResultErr
	}
	return ResultOk
}

// Ok returns the value, or the zero value after an error.
func (result Result[T, E]) Ok() T { return result.value }

// Err returns the error, or the zero value where there is none.
func (result Result[T, E]) Err() E { return result.err }

// Tuple2 is a pair.
type Tuple2[A, B any] struct {
	F0 A
	F1 B
}

// Unit is no value.
type Unit struct{}
