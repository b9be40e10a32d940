package epost.judges;
final class JudgeDss { public static void main(String[] a) {} }
