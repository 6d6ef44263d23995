r"""Every statement as a formula, in LaTeX, for pages that set mathematics."""

from __future__ import annotations

__all__ = ["FORMULAS"]

FORMULAS: dict[str, str] = {
    "T1": r"\tfrac12(\|x\|-m)^2 \le E(x);\quad E(x) \le m^2-\frac1\beta\log\frac{n+Me^{-\beta m^2}}{n+M} \le 2m^2 "
    r"\quad(\|x\|\le m)",
    "T2": r"T(x) = x - \nabla E(x)",
    "T3": r"E(x)-E(Tx) = \tfrac12\|x-Tx\|^2+\frac1\beta\mathrm{KL}(p(x)\,\|\,p(Tx)) \ge \tfrac12\|x-Tx\|^2",
    "T4": r"T(x)\in\mathrm{conv}\{0,\xi_1,\dots,\xi_M\},\quad \|T(x)\|\le(1-p_0)\,m",
    "T5": r"\min_{t<\tau}\|x_{t+1}-x_t\|^2 \le \frac{2(E(x_0)-E(x_\tau))}{\tau} \le \frac{2E(x_0)}{\tau}",
    "T6": r"x_t \to x^*=T(x^*),\quad \sum_t\|x_{t+1}-x_t\|<\infty",
    "T7": r"J(x)=\beta\,\mathrm{Cov},\quad \|J\|\le\frac{\beta D^2}{4},\quad "
    r"\|J(x)\|\le\beta m^2\Bigl(4\sum_{\nu\ne\mu}p_\nu+p_0\Bigr)",
    "T8": r"T_n(x)=\sigma\bigl(\beta\,\mathrm{lse}_0(\beta,\Xi x)-\log n\bigr)\,T_0(x)",
    "T9": r"\|T_n(x)-\xi_\mu\|\le m\Bigl(2\sum_{\nu\ne\mu}p_\nu+p_0\Bigr)\le m\frac{2A+B}{1+A+B}\le m(2A+B)",
    "T10": r"\|T_0-\xi\|^2-\|T_n-\xi\|^2=p_0\bigl((2-p_0)\|T_0\|^2-2\langle T_0,\xi\rangle\bigr)",
    "T11": r"\frac{m(2a+n)}{S+n}<\frac{2ma+2mS_{out}}{S+S_{out}}\;\Longleftrightarrow\;"
    r"S_{out}>\frac{n(S-2a)}{2S-2a+n}",
    "T12": r"\varepsilon(R)\le R\le m,\ L(R)<1 \;\Longrightarrow\; \exists!\,x^*=T(x^*)\in B(\xi,R),\ \|x^*-\xi\|\le"
    r"\varepsilon(R)",
    "T13": r"\|x-x^*\|\le\frac{\|x-Tx\|}{1-L}",
    "T14": r"\|T_n(x)\|\le\frac{m}{1+e^{\log n-\log M-s}},\quad p_0\le\frac{n}{n+Me^{\bar z}}",
    "T15": r"\|\mathrm{softmax}_n(z)-\mathrm{softmax}_n(z')\|\le\tfrac12\|z-z'\|",
    "T16": r"\max_\mu\mathrm{sparsemax}(z)_\mu\ge\max_\mu\mathrm{softmax}(z)_\mu",
    "T17": r"E_n(x)-E_0(x)=\frac1\beta\ln\frac{1+n/M}{1+n/S},\quad S=\sum_\mu e^{z_\mu}",
    "T18": r"\varepsilon_\beta(R)\le R\le m,\ \|\xi\|^2\ge mR \;\Longrightarrow\; "
    r"\varepsilon_{\beta'}(R)\le\varepsilon_\beta(R)\quad(\beta'\ge\beta)",
    "T19": r"\varepsilon_{M-1}(R)\le\varepsilon_M(R),\quad L_{M-1}(R)\le L_M(R)",
    "C1": r"M=\sqrt p\,c^{(d-1)/4},\quad c=\frac{b}{W_0(e^{a+\ln b})}",
    "C2": r"\tfrac12M(M-1)\,P(1-\cos\theta<\Delta(M)/m^2)\le p",
    "C3": r"\tfrac12M^2P(u_0)+M\,e^{-t+M\,E[e^{tf}-1;\,u>u_0]}\le p",
    "C4": r"\alpha_1(\lambda)=\lambda(1-s)-\tfrac12\ln(1-s^2),\quad s=\frac{\sqrt{1+4\lambda^2}-1}{2\lambda}",
    "C5": r"M(q)=\frac{1-q-q\,n\,e^{-\kappa q}}{q-\bar s(\kappa q)}\cdot\frac{e^{\kappa q}}{\Psi_d(\kappa q)}",
    "C6": r"P(\text{not all stored})\ge x(1-\eta)-\tfrac12x^2,\quad x=\tfrac12M(M-1)P(u^*)",
    "C7": r"P(\exists\,x^*\in B(\xi,\rho m))\le M\,P(\rho)+\sum_a e^{tAe^z+M\,E[e^{-tg}-1]}+\dots",
    "C8": r"\|\xi_\mu-\xi_\nu\|\ge\frac{\ln3}{2\beta m}",
    "P1": r"\|T_n(x)-\xi_\mu\|\le\|T_0(x)-\xi_\mu\|",
    "P2": r"\|x^*_n-\xi_\mu\|\le\|x^*_0-\xi_\mu\|",
    "P3": r"\|T_n(x;\Xi)-\xi_\mu\|\le\|T_0(x;\Xi\cup Z)-\xi_\mu\|,\quad n\in\{1,K\}",
    "P4": r"\frac{m(2a+n)}{S+n}\le\frac{2ma}{S}",
    "P5": r"\frac{m(2a+n)}{S+n}\le\frac{2ma+2mS_{out}}{S+S_{out}}",
    "P6": r"\|T_n(x)-\xi\|\le2e(N-1)Me^{-\beta\Delta}\quad(\|x-\xi\|\le\tfrac{1}{2\beta M})",
    "P7": r"E(Tx)\le E(x)",
    "P8": r"\|x_{t+1}-x_t\|\to0",
    "P9": r"M\ge\sqrt p\,c^{(d-1)/4}\quad\text{for every }\beta,K",
    "P10": r"\Delta\ge\frac{2}{\beta N}+\frac1\beta\ln(2(N-1)N\beta M^2)\;\Longrightarrow\;"
    r"T\bigl(B(\xi,\tfrac{1}{\beta"
    r" NM})\bigr)"
    r"\subseteq B(\xi,\tfrac{1}{\beta NM})",
    "P11": r"\|J^m\|\le2\beta NM^2(N-1)\,e^{-\beta(\Delta-2M\max\{\|x-\xi\|,\|y-\xi\|\})}",
    "P12": r"\|T_0(x)-\xi\|\le2e(N-1)Me^{-\beta\Delta}\quad(\|x-\xi\|\le\tfrac{1}{2\beta M})",
    "P13": r"0\le E(x)\le2M^2\quad(\|x\|\le M)",
    "P14": r"E(x)\le2M^2",
    "P15": r"\|T_{sparse}(x)-\xi_\mu\|\le\|T_0(x)-\xi_\mu\|",
    "P16": r"\langle\xi_\mu,x\rangle=\max_\nu\langle\xi_\nu,x\rangle\;\Longrightarrow\;\|T_{sparse}(x)-\xi_\mu\|\le"
    r"\|T_0(x)-\xi_\mu\|",
    "P17": r"\|T_{sparse}(x)-\xi_\mu\|\le m+\sqrt d\,m\beta\bigl[k(s_{(1)}-s_{(k)})+\tfrac1\beta\bigr]",
    "P18": r"\|T_0(x)-\xi_\mu\|\le2m(M-1)\,e^{-\beta(\langle\xi_\mu,x\rangle-\max_{\nu\ne\mu}\langle\xi_\mu,\xi_"
    r"\nu\rangle)}",
    "P19": r"E_n(x)\le E_0(x)",
    "P20": r"-\mathrm{lse}_n(\beta,\Xi x)\le-\mathrm{lse}_0(\beta,\Xi x)",
    "P21": r"\|T_n(x)-\xi_\mu\|\ge\|T_0(x)-\xi_\mu\|",
    "P22": r"\|T_n(\xi_\mu)-\xi_\mu\|\ge\|T_0(\xi_\mu)-\xi_\mu\|",
    "P23": r"\|x-\xi_\mu\|=\min_\nu\|x-\xi_\nu\|\;\Longrightarrow\;\|x^*-\xi_\mu\|=\min_\nu\|x^*-\xi_\nu\|",
    "P24": r"\|x-\xi\|>R_{certified}\;\Longrightarrow\; x^*\notin B(\xi,R_{certified})",
    "P25": r"\|x^*_\beta-\xi\|\le\tfrac m2\;\Longrightarrow\;\|x^*_{2\beta}-\xi\|\le\tfrac m2",
    "P26": r"\|x^*(\Xi\cup\{\xi'\})-\xi\|\ge\|x^*(\Xi)-\xi\|",
}
"""By the names of the statements; the claim in words says what is meant by each letter."""
