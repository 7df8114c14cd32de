"""The words of Chinese, in simplified characters: `tag value: phrase, phrase ...` a line; and traditional ones for them."""

#: traditional characters of the words below, and the simplified one of each, in the same order
TRADITIONAL = "額葉側腦雙顳頂歲軸狀變無見輕運動偽聲擴腫縮釐顯顱體層對為與個處邊兩強縱橫異縣島幹橋質點狹萎斷面圖畫員傷損發現並伴約徑於間過內從裡稱勻場勢齡紀壯輪節轉癌膠膜剛後稱號圓類種塊顆強掃補鐵幾數雜訊圍單側術區線構結佔蓋給請產顯灰齊韌離腔隱測寬正較嚴灣樣長時"
SIMPLIFIED = "额叶侧脑双颞顶岁轴状变无见轻运动伪声扩肿缩厘显颅体层对为与个处边两强纵横异县岛干桥质点狭萎断面图画员伤损发现并伴约径于间过内从里称匀场势龄纪壮轮节转癌胶膜刚后称号圆类种块颗强扫补铁几数杂讯围单侧术区线构结占盖给请产显灰齐韧离腔隐测宽正较严湾样长时"

TABLE = """
plane axial: 轴位, 轴面, 轴状位, 横断位, 横断面, 横轴位, 水平位, 轴向
plane coronal: 冠状位, 冠状面, 冠状, 冠位
plane sagittal: 矢状位, 矢状面, 矢状, 矢位
contrast T1: t1加权, t1加权像, t1像, t1加权成像
contrast T2: t2加权, t2加权像, t2像, t2加权成像
contrast FLAIR: 液体衰减反转恢复, 水抑制, 压水像, t2压水
contrast T1c: t1增强, 增强t1, t1增强扫描, 增强后t1, t1加权增强, 增强t1加权
agent yes: 增强, 增强扫描, 增强后, 注射造影剂后, 造影剂, 钆, 钆剂, 注药后
agent no: 平扫, 未增强, 无增强, 增强前, 不增强, 未注射造影剂, 不打造影剂, 无造影剂
refused DWI: 弥散, 扩散加权, 弥散加权
refused SWI: 磁敏感, 磁敏感加权
refused proton density: 质子密度
refused angiography: 血管成像, 血管造影
refused functional MR: 灌注, 功能磁共振
refused CT: 计算机断层
refused haemorrhage: 出血, 脑出血, 血肿, 微出血, 硬膜下血肿, 蛛网膜下腔出血
refused aneurysm: 动脉瘤, 血管畸形
refused cyst: 囊肿, 脓肿, 囊性
refused the spine: 脊髓, 脊柱, 颈椎
refused the third or fourth ventricle: 第三脑室, 第四脑室, 三脑室, 四脑室
refused surgery: 术后, 切除, 分流术
sex female: 女性, 女, 女士, 妇女, 女子, 女患者, 妇人, 女病人
sex male: 男性, 男, 男士, 先生, 男子, 男患者, 男病人
girl female: 女孩, 女童, 女婴, 小女孩
girl male: 男孩, 男童, 男婴, 小男孩
age 0 1: 婴儿, 新生儿, 婴幼儿, 宝宝
age 2 12: 儿童, 小孩, 患儿, 孩子, 幼儿
age 13 17: 青少年, 少年, 少女
age 18 39: 青年, 年轻, 年轻人, 青壮年
age 40 59: 中年
age 18 90: 成年, 成人, 成年人
age 65 90: 老年, 老人, 老年人, 高龄, 年老
old female: 老太太, 老太, 老奶奶, 老妇人
old male: 老头, 老爷爷, 老大爷, 老翁
aged -: 年龄, 现年, 年约, 年纪
ventricles -: 脑室, 侧脑室, 脑室系统, 脑室大小
ventricles enlarged: 脑积水
enlarged -: 扩大, 扩张, 增宽, 增大, 饱满, 大, 变大, 偏大
slit -: 狭窄, 裂隙状, 变窄, 缩小, 偏小
normal -: 正常, 健康, 未见明显变化
atrophy -: 萎缩, 脑萎缩, 皮质萎缩, 皮层萎缩, 大脑萎缩, 脑沟增宽, 脑沟加深
lesion unspecified mass: 病灶, 病变, 异常信号, 结节, 异常, 高信号, 低信号, 异常信号影, 信号异常, 斑点, 斑片影
lesion ms-like mass: 多发性硬化, 脱髓鞘, 脱髓鞘病灶, 脱髓鞘病变, 多发性硬化病灶, 多发性硬化斑块, 斑块, 脱髓鞘斑块
wmh -: 脑白质高信号, 白质高信号, 脑白质病变, 脑白质疏松, 白质病变
lesion stroke-like mass: 梗死, 脑梗死, 梗塞, 脑梗塞, 脑梗, 梗死灶, 梗塞灶, 卒中, 脑卒中, 中风, 缺血灶, 缺血, 缺血性, 腔隙性, 腔梗, 腔隙灶, 软化灶, 缺血性脑卒中, 腔隙性脑梗死, 腔隙性梗死
lesion tumour-like mass: 肿瘤, 脑肿瘤, 胶质瘤, 胶质母细胞瘤, 胶母, 胶母细胞瘤, 转移瘤, 脑膜瘤, 星形细胞瘤, 淋巴瘤, 占位, 占位性病变, 占位病变, 肿块, 肿物, 脑瘤, 少突胶质细胞瘤
again -: 该病灶, 此病灶, 其, 它, 该病变, 该肿瘤
oedema -: 水肿, 瘤周水肿, 周围水肿, 水肿带, 周边水肿, 灶周水肿
side left: 左, 左侧, 左边, 左半球, 左侧大脑半球, 左侧半球, 左大脑半球, 患者左侧, 左方
side right: 右, 右侧, 右边, 右半球, 右侧大脑半球, 右侧半球, 右大脑半球, 患者右侧, 右方
side bilateral: 双侧, 两侧, 左右侧, 左右两侧, 左右双侧, 双侧大脑半球, 两侧大脑半球, 左右, 双
from to left: 左移, 左偏, 向左, 向左侧, 往左, 偏左, 自右向左, 由右向左, 向左移, 向左偏
from to right: 右移, 右偏, 向右, 向右侧, 往右, 偏右, 自左向右, 由左向右, 向右移, 向右偏
relative -: 对侧, 同侧, 一侧, 单侧, 另一侧, 患侧, 健侧, 病变侧, 病灶侧
view -: 图像, 图片, 画面, 屏幕, 影像, 照片, 图中, 图像上, 图中的, 图像的
place frontal: 额叶, 额部, 额, 前额叶
place parietal: 顶叶, 顶部, 顶
place temporal: 颞叶, 颞部, 颞, 内侧颞叶, 颞叶内侧
place occipital: 枕叶, 枕部, 枕
place insula: 岛叶, 脑岛
place frontoparietal: 额顶叶, 额顶部, 额顶
place frontotemporal: 额颞叶, 额颞部, 额颞
place temporoparietal: 颞顶叶, 颞顶部, 颞顶, 顶颞叶
place temporo-occipital: 颞枕叶, 颞枕部, 颞枕
place parieto-occipital: 顶枕叶, 顶枕部, 顶枕
place cerebellum: 小脑, 小脑半球, 小脑蚓部
place brainstem: 脑干, 脑桥, 中脑, 延髓, 桥脑
place thalamus: 丘脑
place basal ganglia: 基底节, 基底节区, 基底核, 壳核, 尾状核, 豆状核, 苍白球, 纹状体, 基底神经节
place hippocampus: 海马, 海马体, 海马区
place corpus callosum: 胼胝体
place periventricular: 脑室旁, 侧脑室旁, 脑室周围, 侧脑室周围, 脑室旁白质, 脑室周围白质
place juxtacortical: 近皮层, 近皮质
place white matter: 白质, 脑白质, 深部白质, 深部脑白质, 皮层下, 皮质下, 半卵圆中心, 放射冠, 皮层下白质, 皮质下白质, 脑白质内
midline -: 中线, 中线结构
shift -: 移位, 偏移, 中线移位, 中线偏移, 移
centred -: 居中, 无偏
motion -: 运动伪影, 运动, 头动, 头动伪影, 移动伪影, 体动
noise -: 噪声, 噪点, 噪音, 杂讯, 图像噪声, 雜訊
bias -: 偏置场, 偏场, 偏磁场, 场不均匀, 磁场不均匀, 不均匀, 亮度不均, 信号不均匀, 强度不均匀, 偏置
artefacts -: 伪影
slice -: 层厚, 层, 层面厚度, 切片厚度, 层面, 切片
voxel -: 体素, 各向同性, 分辨率, 各向同性体素, 体素大小
other head: 视野, 层间距, 间距, 间隔, 层间隔, 矩阵
grade mild: 轻度, 轻微, 轻, 稍, 略, 稍微, 些许, 少量
grade moderate: 中度, 中等, 轻中度, 轻至中度, 轻到中度, 一定
grade severe: 重度, 严重, 明显, 显著, 重, 较重, 很, 极重, 中重度, 中至重度, 高度, 大量, 强烈
size 1 3: 点状, 微小, 极小, 针尖大小
size 3 10: 小, 较小, 小的
size 10 20: 中等大小
size 20 40: 较大, 大的, 大片, 大型
size 40 80: 巨大, 巨型, 特大
vague size -: 毫米, 厘米, 公分, 公厘, 英寸, 豌豆, 高尔夫球, 核桃, 葡萄, 樱桃, 拳头, 硬币, 乒乓球, 黄豆, 绿豆
count 1 1: 单发, 单个, 孤立, 孤立性, 同一个, 单一, 仅一个
count 2 4: 少许, 少数, 几个, 数个, 散在少许
count 3 6: 若干
count 3 10: 多发, 多个, 多处, 多枚, 多灶
count 10 30: 大量病灶, 无数, 弥漫多发, 许多, 很多
each -: 各, 各有, 各见, 各自
all -: 均, 均为, 都, 皆, 都为, 都是
respectively -: 分别, 分别为, 依次, 依次为
radius -: 半径, 半径约
diameter -: 直径, 最大径, 直径约, 长径, 径, 最大直径
bound high: 不超过, 小于, 不到, 最多, 不大于, 至多, 少于, 低于
bound low: 大于, 超过, 至少, 不小于, 不少于, 多于, 最少, 高于
bound after high: 以下, 以内, 之内
bound after low: 以上
far before: 距, 距离, 相距, 旁开, 距中线
not -: 无, 没有, 未见, 未, 不, 非, 除外, 排除, 不伴, 不伴有, 不是, 而非, 并非, 未发现, 无明显, 未见明显, 不存在, 没, 否认, 阴性, 未显示, 未出现, 不含, 不带, 不在, 未见明确, 未见确切, 不要, 不需要, 勿, 不可见, 而不是, 无明确
except -: 除, 除了
except end: 外, 以外, 之外
and -: 和, 及, 与, 以及, 、, 并, 也, 同时, 及其, 还有, 且, 加
or -: 或, 或者, 还是, 或是, 可能, 也许
with -: 伴, 伴有, 合并, 引起, 导致, 并有, 伴随, 造成, 带有
but -: 但, 但是, 而, 然而, 不过, 却
isa -: 考虑, 提示, 符合, 考虑为, 疑似, 疑为, 即
body -: 肢体, 上肢, 下肢, 偏瘫, 面瘫, 无力, 麻木, 手, 腿, 眼, 耳, 膝, 乳腺, 肺, 肾, 头痛, 偏盲, 肢体无力, 肢体偏瘫, 肩, 髋
drop side: 右利手, 左利手, 右撇子, 左撇子, 惯用右手, 惯用左手, 右手优势
drop: 占位效应, 强化, 环形强化, 明显强化, 三维, 二维, 大脑, 大小
fill: 有, 的, 在, 内, 于, 可见, 见, 位, 像, 扫描, 患者, 病人, 头颅, 头部, 头, 脑部, 脑, 磁共振, 核磁, 核磁共振, 成像, 区, 部, 侧, 约, 大约, 大概, 左近, 为, 至, 处, 一位, 一名, 名, 位于, 呈, 示, 显示, 请, 生成, 一幅, 一张, 图, 急性, 亚急性, 慢性, 类圆形, 圆形, 如, 珠子, 其余, 余, 其他, 其它, 既, 程度, 磁场强度, 场强, 对称性, 半球, 大脑半球, 是, 了, 者, 比, 到, 向, 者为, 皮质, 皮层, 叶, 信号, 影, 灶, 范围, 结构, 周围, 长度, 达, 测量, 强度, 全脑, 弥漫性, 广泛, 现, 出现, 存在, 岁的, 同
"""
